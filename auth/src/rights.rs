//! Rights in settings.

use polywire_core::{Rights, settings::Problem};

/// What is wrong with the setting `rights`.
pub(crate) fn problems_of_rights(rights: &Rights) -> impl Iterator<Item = Problem> {
    let wrong = rights.problems().into_iter();
    wrong.map(|(list, error)| Problem::new(list, error.to_string()).within("rights"))
}
