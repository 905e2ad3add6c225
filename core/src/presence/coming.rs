//! The coming of a client to a channel: on whose behalf, and what it says about itself.

use super::owner::MemberOwner;
use crate::publication::{JsonText, PresenceAction};

/// How a client comes to a channel.
#[derive(Debug)]
pub(crate) struct Coming<'c> {
    /// What the members are told of a newcomer.
    pub(crate) action: PresenceAction,
    pub(crate) owner: &'c MemberOwner,
    /// A credential proves who it is.
    pub(crate) is_proven: bool,
    pub(crate) state: StateOnArrival,
}

/// The state that a client brings.
#[derive(Debug)]
pub(crate) enum StateOnArrival {
    /// It keeps the one that it has.
    Same,
    /// It has this one from now on.
    New(JsonText),
    /// It has this one where it had none.
    Default(JsonText),
}

impl StateOnArrival {
    /// The state, for a client that had this one.
    pub(super) fn over(self, before: Option<&JsonText>) -> Option<JsonText> {
        let (state, counts) = match self {
            Self::Same => return None,
            Self::Default(state) => (state, before.is_none()),
            Self::New(state) => {
                let counts = before != Some(&state);
                (state, counts)
            }
        };
        counts.then_some(state)
    }
}

impl<'c> Coming<'c> {
    pub(crate) fn of(owner: &'c MemberOwner) -> Self {
        Self {
            action: PresenceAction::Join,
            owner,
            is_proven: false,
            state: StateOnArrival::Same,
        }
    }

    pub(crate) fn proven(self, is_proven: bool) -> Self {
        Self { is_proven, ..self }
    }

    pub(crate) fn by(self, action: PresenceAction) -> Self {
        Self { action, ..self }
    }

    /// With a state that takes the place of the one that it had.
    pub(crate) fn with(self, state: Option<JsonText>) -> Self {
        let state = state.map_or(StateOnArrival::Same, StateOnArrival::New);
        Self { state, ..self }
    }

    /// With a state where it had none.
    pub(crate) fn with_default(self, state: Option<JsonText>) -> Self {
        let state = state.map_or(StateOnArrival::Same, StateOnArrival::Default);
        Self { state, ..self }
    }
}
