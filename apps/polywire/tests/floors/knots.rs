//! Knots: files of which each needs all others, directly or by way of others.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::Imports;

/// The knots of a crate, each with its files in order.
pub(crate) fn of(imports: &Imports) -> Vec<Vec<String>> {
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (user, used, _) in imports.iter() {
        uses.entry(user).or_default().insert(used);
    }
    let reaches: BTreeMap<&str, BTreeSet<&str>> = uses
        .keys()
        .map(|&file| (file, reached(file, &uses)))
        .collect();
    let mut knots = BTreeSet::new();
    for (&file, reached) in &reaches {
        let knot: Vec<String> = reached
            .iter()
            .filter(|&&other| reaches.get(other).is_some_and(|back| back.contains(file)))
            .map(|&other| other.to_owned())
            .collect();
        if knot.len() > 1 {
            knots.insert(knot);
        }
    }
    knots.into_iter().collect()
}

/// What a file needs, and what that needs.
fn reached<'i>(file: &'i str, uses: &BTreeMap<&'i str, BTreeSet<&'i str>>) -> BTreeSet<&'i str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![file];
    while let Some(file) = next.pop() {
        for &used in uses.get(file).into_iter().flatten() {
            if reached.insert(used) {
                next.push(used);
            }
        }
    }
    reached
}
