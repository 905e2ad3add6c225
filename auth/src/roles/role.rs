//! One role: rights, at all apps or at some.

use std::{collections::BTreeMap, fmt, time::SystemTime};

use polywire_core::{ClientId, Grant, Rights, settings::Problem};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::Value;

/// `[roles.role.NAME]`: the rights of a role, such as `write = "news/#"`, and the `apps` at which it counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleSettings {
    /// What may be done with the role.
    pub rights: Rights,
    /// The apps at which it counts; none for all of them.
    pub apps: Option<Vec<String>>,
}

impl RoleSettings {
    /// What is wrong with it.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let rights = self.rights.problems().into_iter();
        let mut problems: Vec<_> = rights
            .map(|(list, error)| Problem::new(list, error.to_string()))
            .collect();
        if self.apps.as_ref().is_some_and(Vec::is_empty) {
            let message = "name at least one app, or leave it out for all of them";
            problems.push(Problem::new("apps", message));
        }
        problems
    }

    /// Its grants to a client of an app, until a time; none where it does not count.
    pub(crate) fn grants(
        &self,
        app: &str,
        client: Option<&ClientId>,
        expires_at: Option<SystemTime>,
    ) -> Vec<Grant> {
        let counts = self
            .apps
            .as_ref()
            .is_none_or(|apps| apps.iter().any(|name| name == app));
        // That its names are scopes was checked when it was read.
        let grants = counts.then(|| self.rights.grants(client, expires_at));
        grants.and_then(Result::ok).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for RoleSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RoleVisitor)
    }
}

struct RoleVisitor;

impl<'de> Visitor<'de> for RoleVisitor {
    type Value = RoleSettings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a role, such as { write = \"news/#\" }")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RoleSettings, A::Error> {
        let mut rights = BTreeMap::new();
        let mut apps = None;
        while let Some(name) = map.next_key::<String>()? {
            let value: Value = map.next_value()?;
            if name == "apps" {
                apps = Some(texts(&value).ok_or_else(|| {
                    A::Error::custom("`apps` is the name of an app, or a list of names")
                })?);
            } else {
                rights.insert(name, value);
            }
        }
        let rights = Value::from_iter(rights);
        let rights = serde_json::from_value(rights).map_err(|error| {
            let also = match error.to_string() {
                said if said.starts_with("unknown field") => said + ", `apps`",
                said => said,
            };
            A::Error::custom(also)
        })?;
        Ok(RoleSettings { rights, apps })
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        value => text(value).map(|text| vec![text]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_rights_and_apps() {
        let read = |text: &str| toml::from_str::<RoleSettings>(text);
        let role = read("write = \"iot/{client}/#\"\nread = [\"a\"]\napps = \"emitter\"").unwrap();
        assert_eq!(role.rights.write, ["iot/{client}/#"]);
        let ann = ClientId::new("ann").unwrap();
        assert_eq!(role.grants("emitter", Some(&ann), None).len(), 2);
        assert!(role.grants("seth", Some(&ann), None).is_empty());
        assert!(role.problems().is_empty());
        for wrong in ["reed = \"a\"", "read = 7", "apps = 7"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let named: Vec<_> = read("read = \"a*\"\napps = []").unwrap().problems();
        let named: Vec<_> = named.into_iter().map(|problem| problem.setting).collect();
        assert_eq!(named, ["read", "apps"]);
    }
}
