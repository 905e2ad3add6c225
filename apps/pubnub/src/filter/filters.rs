//! The filters of the polls of this node, each text once.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::{checked::Filter, invalid::InvalidFilter};

/// Filters that are looked through when more have come.
const SWEPT_FROM: usize = 64;

/// The filters of the polls of this node, by their text.
#[derive(Debug, Default)]
pub(crate) struct Filters(Mutex<FilterTable>);

#[derive(Debug, Default)]
struct FilterTable {
    by_text: HashMap<Box<str>, Weak<Filter>, RandomState>,
    /// How many there may be before those that nobody has any more are taken out.
    sweep_at: usize,
}

impl Filters {
    /// The filter with this text, which all who have it share.
    pub(crate) fn get(&self, text: &str) -> Result<Arc<Filter>, InvalidFilter> {
        let known = |table: &FilterTable| table.by_text.get(text).and_then(Weak::upgrade);
        if let Some(filter) = known(&self.0.lock()) {
            return Ok(filter);
        }
        let filter = Arc::new(Filter::parse(text)?);
        let mut table = self.0.lock();
        if let Some(filter) = known(&table) {
            return Ok(filter);
        }
        if table.by_text.len() >= table.sweep_at {
            table.by_text.retain(|_, filter| filter.strong_count() > 0);
            table.sweep_at = SWEPT_FROM.max(2 * table.by_text.len());
        }
        table.by_text.insert(text.into(), Arc::downgrade(&filter));
        Ok(filter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_is_one_filter_and_goes_when_nobody_has_it() {
        let filters = Filters::default();
        let one = filters.get("a == 1").unwrap();
        assert!(Arc::ptr_eq(&one, &filters.get("a == 1").unwrap()));
        for number in 0..1000 {
            filters.get(&format!("a == {number}")).unwrap();
        }
        assert!(filters.0.lock().by_text.len() <= 2 * SWEPT_FROM);
        assert!(Arc::ptr_eq(&one, &filters.get("a == 1").unwrap()));
        assert!(filters.get("a ==").is_err());
    }
}
