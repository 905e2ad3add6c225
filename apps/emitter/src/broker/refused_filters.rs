//! Topic filters that nobody may subscribe to, such as `#`.

use std::sync::Arc;

#[derive(Debug, Clone, Default)]
pub(crate) struct RefusedFilters(Arc<[String]>);

impl RefusedFilters {
    pub(crate) fn contains(&self, filter: &str) -> bool {
        self.0.iter().any(|refused| refused == filter)
    }
}

impl<F: Into<String>> FromIterator<F> for RefusedFilters {
    fn from_iter<I: IntoIterator<Item = F>>(filters: I) -> Self {
        Self(filters.into_iter().map(Into::into).collect())
    }
}
