//! The documents that a node knows.

use std::{collections::BTreeMap, ops::Bound};

use super::message::{RegistryChange, Restated};
use crate::{
    memory::{Draw, Held},
    publication::{JsonText, Timetoken},
};

/// Superseded changes that are not worth clearing away.
const SUPERSEDED_MIN: usize = 1000;

/// Bytes that an entry takes besides its key and document, about.
const ENTRY_BYTES: usize = 100;

/// How long it is remembered that something was removed: an older change may still be on its way. In timetokens.
const LATE: u64 = 10 * 10_000_000;

/// Documents by key, each with the time of its last change. What was removed is remembered too, so that an
/// older document that comes late does not bring it back.
#[derive(Debug)]
pub(super) struct Table {
    entries: BTreeMap<String, Document>,
    /// Documents that were not removed.
    count: usize,
    bytes: usize,
    /// Those bytes, of the memory budget.
    draw: Draw,
    last: Timetoken,
    /// Changes since everything was restated.
    changes: usize,
}

#[derive(Debug)]
struct Document {
    value: Option<JsonText>,
    at: Timetoken,
}

/// What two nodes that know the same have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) last: Timetoken,
    pub(super) count: usize,
}

fn bytes(key: &str, value: Option<&JsonText>) -> usize {
    ENTRY_BYTES + key.len() + value.map_or(0, |value| value.as_str().len())
}

impl Default for Table {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            count: 0,
            bytes: 0,
            draw: Draw::new(Held::Kept),
            last: Timetoken::default(),
            changes: 0,
        }
    }
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&JsonText> {
        self.entries.get(key)?.value.as_ref()
    }

    pub(super) fn dated(&self, key: &str) -> Option<(&JsonText, Timetoken)> {
        let entry = self.entries.get(key)?;
        Some((entry.value.as_ref()?, entry.at))
    }

    /// The keys that begin so, behind `after`, with their documents.
    pub(super) fn page<'t>(
        &'t self,
        prefix: &'t str,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'t str, &'t JsonText, Timetoken)> {
        let start = match after {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        let entries = self.entries.range::<str, _>((start, Bound::Unbounded));
        entries
            .take_while(move |(key, _)| key.starts_with(prefix))
            .filter_map(|(key, entry)| Some((key.as_str(), entry.value.as_ref()?, entry.at)))
    }

    /// Forgets a document that was set as of this time.
    pub(super) fn forget(&mut self, key: &str, at: Timetoken) {
        let known = self.entries.get(key);
        if let Some(entry) = known.filter(|entry| entry.at == at && entry.value.is_some()) {
            self.bytes -= bytes(key, entry.value.as_ref());
            self.count -= 1;
            self.entries.remove(key);
            // Less can always be held.
            let _ = self.draw.cover(self.bytes);
        }
    }

    /// The keys that begin so, with their documents.
    pub(super) fn beginning_with<'t>(
        &'t self,
        prefix: &'t str,
    ) -> impl Iterator<Item = (&'t str, &'t JsonText)> {
        let entries = self.entries.range(prefix.to_owned()..);
        entries
            .take_while(move |(key, _)| key.starts_with(prefix))
            .filter_map(|(key, entry)| Some((key.as_str(), entry.value.as_ref()?)))
    }

    /// Takes a change unless a later one is known. True when the document is another one now.
    pub(super) fn set(&mut self, key: &str, value: Option<JsonText>, at: Timetoken) -> bool {
        self.changes += 1;
        self.last = self.last.max(at);
        let known = self.entries.get(key);
        if known.is_some_and(|entry| entry.at >= at) {
            return false;
        }
        if let Some(entry) = known {
            self.bytes -= bytes(key, entry.value.as_ref());
        }
        let before = known.and_then(|entry| entry.value.as_ref());
        let is_other = before != value.as_ref();
        self.count -= usize::from(before.is_some());
        self.count += usize::from(value.is_some());
        self.bytes += bytes(key, value.as_ref());
        self.entries.insert(key.to_owned(), Document { value, at });
        is_other
    }

    /// True when the changes leave it within so many bytes, or remove something.
    pub(super) fn has_room(&mut self, changes: &[RegistryChange], bytes_max: usize) -> bool {
        let more = changes.iter().filter(|(_, value)| value.is_some());
        let more: usize = more.map(|(key, value)| bytes(key, value.as_ref())).sum();
        let bytes = self.bytes + more;
        more == 0 || (bytes <= bytes_max && self.draw.cover(bytes))
    }

    pub(super) fn digest(&self) -> Digest {
        Digest {
            last: self.last,
            count: self.count,
        }
    }

    /// Another node knows this change.
    pub(super) fn know(&mut self, last: Timetoken) {
        self.last = self.last.max(last);
    }

    /// True when most of what is kept was superseded.
    pub(super) fn is_mostly_superseded(&self) -> bool {
        self.changes > 2 * self.count + SUPERSEDED_MIN
    }

    /// Every document, and the last change that is in it.
    pub(super) fn everything(&self) -> (Timetoken, Vec<Restated>) {
        let entries = self.entries.iter();
        let all = entries.map(|(key, entry)| (key.clone(), entry.value.clone(), entry.at));
        (self.last, all.collect())
    }

    /// Everything up to a change was restated: what was removed long before cannot come back.
    pub(super) fn restated(&mut self, up_to: Timetoken) {
        let mut freed = 0;
        self.entries.retain(|key, entry| {
            let stays = entry.value.is_some() || entry.at.0.saturating_add(LATE) > up_to.0;
            freed += if stays { 0 } else { bytes(key, None) };
            stays
        });
        self.bytes -= freed;
        self.changes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: u32) -> Option<JsonText> {
        JsonText::of(&value).ok()
    }

    #[test]
    fn the_latest_change_counts_in_whatever_order_they_come() {
        let mut table = Table::default();
        assert!(table.set("a", text(1), Timetoken(10)));
        assert!(!table.set("a", text(0), Timetoken(9)));
        assert!(!table.set("a", text(1), Timetoken(11)), "it says the same");
        assert!(table.set("a", None, Timetoken(12)));
        assert!(
            !table.set("a", text(1), Timetoken(11)),
            "it was removed later"
        );
        assert_eq!(table.get("a"), None);
        let digest = Digest {
            last: Timetoken(12),
            count: 0,
        };
        assert_eq!(table.digest(), digest);
        table.restated(Timetoken(12));
        assert!(!table.set("a", text(1), Timetoken(11)), "it is late");
        table.restated(Timetoken(12 + LATE));
        assert_eq!((table.bytes, table.digest()), (0, digest));
    }

    #[test]
    fn keys_are_found_by_their_beginning() {
        let mut table = Table::default();
        for (at, key) in ["b/1", "a/2", "a/1", "a"].iter().enumerate() {
            table.set(key, text(1), Timetoken(at as u64 + 1));
        }
        table.set("a/2", None, Timetoken(9));
        let found: Vec<_> = table.beginning_with("a/").map(|(key, _)| key).collect();
        assert_eq!(found, ["a/1"]);
        table.set("a/3", text(1), Timetoken(10));
        let page = |after| {
            let found = table.page("a/", after);
            found
                .map(|(key, _, at)| (key.to_owned(), at.0))
                .collect::<Vec<_>>()
        };
        let all = [("a/1".to_owned(), 3), ("a/3".to_owned(), 10)];
        assert_eq!(page(None), all);
        assert_eq!(page(Some("a/1")), all[1..]);
        assert_eq!(page(Some("a/2")), all[1..]);
        assert_eq!(page(Some("a/3")), []);
    }

    #[test]
    fn what_is_forgotten_takes_no_room_and_may_come_again() {
        let mut table = Table::default();
        table.set("a", text(1), Timetoken(5));
        table.forget("a", Timetoken(4));
        assert_eq!(
            table.dated("a"),
            text(1).as_ref().map(|text| (text, Timetoken(5)))
        );
        table.forget("a", Timetoken(5));
        assert_eq!((table.get("a"), table.bytes, table.count), (None, 0, 0));
        assert!(table.set("a", text(2), Timetoken(6)));
    }

    #[test]
    fn what_has_no_room_may_still_be_removed() {
        let mut table = Table::default();
        let change = |value| [("a".to_owned(), value)];
        assert!(table.has_room(&change(text(1)), 200));
        table.set("a", text(1), Timetoken(1));
        assert!(!table.has_room(&change(text(1)), 200));
        assert!(table.has_room(&change(None), 100));
    }

    #[test]
    fn changes_of_the_same_keys_are_worth_clearing_away() {
        let mut table = Table::default();
        for at in 0..SUPERSEDED_MIN as u64 + 3 {
            assert!(!table.is_mostly_superseded());
            table.set("a", text(1), Timetoken(at + 1));
        }
        assert!(table.is_mostly_superseded());
        let (last, all) = table.everything();
        assert_eq!((last, all.len()), (Timetoken(1003), 1));
        table.restated(last);
        assert!(!table.is_mostly_superseded());
    }
}
