//! States: what clients say about themselves.

use std::collections::BTreeMap;

use polywire_core::JsonText;
use serde_json::Value;

use crate::{
    call::Call,
    query::Query,
    reply::{Forbidden, Refused},
    subscribe_set::{Location, Purpose, SubscribeSet},
};

/// Bytes of one state.
pub(super) const STATE_BYTES_MAX: usize = 16 << 10;

/// States by the channel or group that they are for.
#[derive(Debug, Default)]
pub(crate) struct States(BTreeMap<String, JsonText>);

impl States {
    /// Reads the `state` of a subscribe or a heartbeat: an object for each channel or group.
    pub(crate) fn parse(query: &Query<'_>) -> Result<Self, &'static str> {
        const INVALID: &str = "Invalid JSON specified.";
        let text = query.get("state").ok_or(INVALID)?;
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(Self::default());
        };
        let states: BTreeMap<String, Value> = serde_json::from_str(&text).map_err(|_| INVALID)?;
        let mut checked = BTreeMap::new();
        for (name, state) in states {
            if let Some(state) = state_of(&state)? {
                checked.insert(name, state);
            }
        }
        Ok(Self(checked))
    }

    /// Refuses whoever may not say something of itself where there is a state for.
    pub(crate) fn authorize(
        &self,
        call: &Call<'_>,
        names: &SubscribeSet,
        service: &str,
    ) -> Result<(), Refused> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut forbidden = Forbidden::default();
        let with_state = |shown: &str| self.0.contains_key(shown);
        for target in names
            .targets
            .iter()
            .filter(|target| with_state(&target.shown))
        {
            let judged = target.authorize(call.space(), &call.caller, Purpose::SetState);
            match target.location {
                Location::Group(_) => forbidden.group(judged, &target.shown, service)?,
                _ => forbidden.channel(judged, &target.shown, service)?,
            }
        }
        forbidden.check()
    }

    /// The state for a channel or group.
    pub(crate) fn of(&self, name: &str) -> Option<JsonText> {
        self.0.get(name).cloned()
    }
}

/// A state in the form in which equal ones are equal; none for one that says nothing.
pub(super) fn state_of(state: &Value) -> Result<Option<JsonText>, &'static str> {
    let Value::Object(members) = state else {
        return Err("A state must be a JSON object.");
    };
    if members.is_empty() {
        return Ok(None);
    }
    let text = JsonText::of(state).map_err(|_| "Invalid JSON specified.")?;
    if text.as_str().len() > STATE_BYTES_MAX {
        return Err("The state is too long.");
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_by_name() {
        let states = States::parse(&Query::parse(
            "a=1&state=%7B%22c%22%3A%7B%22b%22%3A1%2C%20%22a%22%3A2%7D%2C%22d%22%3A%7B%7D%7D",
        ));
        let states = states.unwrap();
        assert_eq!(states.of("c").unwrap().as_str(), r#"{"a":2,"b":1}"#);
        assert_eq!(states.of("d"), None);
        assert!(
            States::parse(&Query::parse("state=%7B%7D"))
                .unwrap()
                .0
                .is_empty()
        );
        assert!(States::parse(&Query::parse("")).unwrap().0.is_empty());
        for bad in [
            "state=%7B",
            "state=1",
            "state=%7B%22c%22%3A1%7D",
            "state=%FF",
        ] {
            assert!(States::parse(&Query::parse(bad)).is_err(), "{bad}");
        }
    }
}
