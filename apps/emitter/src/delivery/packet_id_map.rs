//! A map from packet ids, small and in order.

use std::collections::VecDeque;

/// A map from packet ids, in the order in which they were given: mostly that in which they are done with, so that what is
/// looked for is the first one. Otherwise the ids lie side by side, and are few enough to look at all of them.
#[derive(Debug)]
pub(crate) struct PacketIdMap<T> {
    ids: VecDeque<u16>,
    values: VecDeque<T>,
}

impl<T> Default for PacketIdMap<T> {
    fn default() -> Self {
        Self {
            ids: VecDeque::new(),
            values: VecDeque::new(),
        }
    }
}

impl<T> PacketIdMap<T> {
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn contains_key(&self, id: &u16) -> bool {
        let (front, back) = self.ids.as_slices();
        front.contains(id) || back.contains(id)
    }

    pub(crate) fn get(&self, id: &u16) -> Option<&T> {
        self.values.get(self.find(id)?)
    }

    pub(crate) fn get_mut(&mut self, id: &u16) -> Option<&mut T> {
        let index = self.find(id)?;
        self.values.get_mut(index)
    }

    /// Adds a value behind all others. Its id must not be among those that there are.
    pub(crate) fn insert(&mut self, id: u16, value: T) {
        debug_assert!(!self.contains_key(&id), "packet id {id} is given already");
        self.ids.push_back(id);
        self.values.push_back(value);
    }

    pub(crate) fn remove(&mut self, id: &u16) -> Option<T> {
        let index = self.find(id)?;
        self.ids.remove(index);
        self.values.remove(index)
    }

    /// In the order in which they were added.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&u16, &T)> {
        self.ids.iter().zip(&self.values)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.values.iter_mut()
    }

    fn find(&self, id: &u16) -> Option<usize> {
        self.ids.iter().position(|known| known == id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map_in_the_order_of_adding(
            steps in proptest::collection::vec((0..8_u16, any::<bool>(), any::<u8>()), 0..100),
        ) {
            let mut map = PacketIdMap::default();
            let mut expected: Vec<(u16, u8)> = Vec::new();
            for (id, is_added, value) in steps {
                let index = expected.iter().position(|(known, _)| *known == id);
                let before = index.map(|index| expected.remove(index).1);
                prop_assert_eq!(map.contains_key(&id), before.is_some());
                prop_assert_eq!(map.get(&id).copied(), before);
                prop_assert_eq!(map.get_mut(&id).copied(), before);
                if before.is_some() {
                    map.remove(&id);
                }
                if is_added {
                    map.insert(id, value);
                    expected.push((id, value));
                } else {
                    prop_assert_eq!(map.remove(&id), None);
                }
                prop_assert_eq!(map.len(), expected.len());
                let found: Vec<_> = map.iter().map(|(id, value)| (*id, *value)).collect();
                prop_assert_eq!(&found, &expected);
                let values: Vec<_> = map.values_mut().map(|value| *value).collect();
                let expected: Vec<_> = expected.iter().map(|(_, value)| *value).collect();
                prop_assert_eq!(values, expected);
            }
        }
    }
}
