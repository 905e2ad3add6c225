//! Names of channels and channel groups, as addresses write them.

use std::borrow::Cow;

use polywire_core::Channel;

use crate::text::decode;

/// The suffix of a name that stands for who is there.
pub(crate) const PRESENCE: &str = "-pnpres";

/// Why names are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadName {
    /// It is not UTF-8.
    Encoding,
    /// It is another tenant's, or empty.
    Invalid,
}

/// The name without its presence suffix, and whether it had one.
pub(crate) fn split(name: &str) -> (&str, bool) {
    match name.strip_suffix(PRESENCE) {
        Some(base) if !base.is_empty() => (base, true),
        _ => (name, false),
    }
}

/// The levels above the last one of a channel's name.
pub(crate) fn above(channel: &Channel) -> Option<&str> {
    let (above, _) = channel.as_str().rsplit_once('.')?;
    (!above.is_empty()).then_some(above)
}

/// The levels above those that a wildcard matches: `a.b` for `a.b.*`; none for a plain name.
pub(crate) fn pattern(name: &str) -> Option<&str> {
    let above = name.strip_suffix(".*")?;
    let is_pattern = !above.is_empty() && !above.contains('*') && above.split('.').count() <= 2;
    is_pattern.then_some(above)
}

/// The list in a part of a path, to be [split](split_list). It is decoded as a whole: some SDKs encode the commas between
/// names too.
pub(crate) fn path_list(raw: &str) -> Result<Cow<'_, str>, BadName> {
    decode(raw).ok_or(BadName::Encoding)
}

/// The names in a list; none in a single comma.
pub(crate) fn split_list(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|name| !name.is_empty())
}
