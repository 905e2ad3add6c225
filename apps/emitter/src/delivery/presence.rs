//! Presence of a client of plain MQTT: it is there on the topics that it is subscribed to without wildcards, while it is
//! connected.

use bytestring::ByteString;
use polywire_core::{Channel, space::Attachment};

use super::{subscriber::Subscriber, username};

/// A client is present from now on, with its user name as its state where it has none: on topics, of which none begins
/// with `$` (MQTT 5.0 section 4.7.2).
pub(crate) fn appear(
    attachment: &mut Attachment,
    subscriber: &Subscriber,
    username: Option<&ByteString>,
) {
    let limit = attachment.space().limits().name_bytes_max;
    let name = username.filter(|name| !name.is_empty() && name.len() <= limit);
    let is_place = |channel: &Channel| !channel.as_str().starts_with('$');
    let client = subscriber.publisher().id().clone();
    attachment.appear(client, name.and_then(username::state), is_place);
}
