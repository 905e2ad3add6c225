//! Rules of the composition about rights.

use std::sync::Arc;

use crate::{
    domain::Domain,
    identity::{Grant, Identity},
};

/// What the composition says about rights, beside what each identity has.
#[derive(Debug, Default)]
pub(crate) struct GateRules {
    /// What the clients of an app can reach at most, by the name of the app.
    pub(crate) confinements: Vec<(String, Vec<Grant>)>,
    /// Whose clients may name the names of another domain.
    pub(crate) bridges: Vec<(Domain, Domain)>,
    /// What somebody without credentials may do, where that was said.
    pub(crate) anonymous: Option<Arc<Identity>>,
}
