//! Encoders: what clients are sent.

use base64::{Engine, engine::general_purpose::STANDARD};
use polywire_core::{
    Channel, ClientId, JsonText, Kind, Payload, PresenceAction, Publication, Target,
    delivery::{Encoder, Message},
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The channel that every connected client is on.
pub(crate) const ALL: &str = "all";

/// Writes publications as Seth-Pusher's clients read them.
#[derive(Debug)]
pub(crate) struct SethEncoder {
    /// Who sends something is shown only where a credential proves it: the client's own, or that of the back end which
    /// names a sender in its message.
    pub(crate) only_proven: bool,
}

impl Encoder for SethEncoder {
    fn encode(&self, publication: &Publication) -> Option<Message> {
        let text = match &publication.kind {
            Kind::Message | Kind::Signal => self.message(publication),
            Kind::Presence(event) => {
                let channel = publication.target.channel()?.as_str();
                notice(event.action, event.client.as_ref(), channel)?
            }
            _ => return None,
        };
        Some(Message::Text(text.into()))
    }
}

impl SethEncoder {
    /// A message of the API, or of another protocol.
    fn message(&self, publication: &Publication) -> String {
        let payload = match &publication.payload {
            Payload::Json(json) => json.clone().into_inner(),
            Payload::Text(text) => text.to_json().into_inner(),
            Payload::Binary(bytes) => quote(&STANDARD.encode(bytes)).into(),
        };
        let may_name = !self.only_proven
            || publication
                .properties
                .as_ref()
                .is_some_and(|properties| properties.as_str() == BACK_END);
        let named = may_name.then(|| sender(&publication.payload)).flatten();
        let sender = match named {
            Some(sender) => sender.get().to_owned(),
            None if self.only_proven => id(publication.proven_publisher()),
            None => id(publication.publisher.as_ref()),
        };
        match &publication.target {
            Target::Channel(_) => format!(r#"{{"message":{payload},"sender_id":{sender}}}"#),
            Target::Client(client) => {
                let target = quote(client.as_str());
                format!(r#"{{"message":{payload},"target_id":{target},"sender_id":{sender}}}"#)
            }
        }
    }
}

/// What the API says of messages that name their sender: a back end has.
pub(crate) fn named_by_back_end(payload: &Payload) -> Option<JsonText> {
    sender(payload)?;
    JsonText::parse(BACK_END.into()).ok()
}

/// An object with a member of the app's own.
const BACK_END: &str = r#"{"seth":{}}"#;

/// An error for one client.
pub(crate) fn error(body: &str) -> Message {
    Message::Text(format!(r#"{{"message":{{"type":"error","body":{}}}}}"#, quote(body)).into())
}

/// The `sender_id` inside a message, of whatever type.
fn sender(payload: &Payload) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct Sender<'a> {
        #[serde(borrow)]
        sender_id: Option<&'a RawValue>,
    }
    match payload {
        // An object that names it twice, or anything that is not an object, names nobody.
        Payload::Json(json) if may_name_sender(json.as_str().as_bytes()) => {
            serde_json::from_str::<Sender<'_>>(json.as_str())
                .ok()?
                .sender_id
        }
        _ => None,
    }
}

/// False when the key cannot be in it, neither as it is nor written with escapes; most messages then
/// need no parser.
fn may_name_sender(json: &[u8]) -> bool {
    memchr::memchr(b'\\', json).is_some() || memchr::memmem::find(json, b"\"sender_id\"").is_some()
}

/// What a client is told that has subscribed, also where it is no news to others.
pub(crate) fn subscribed(client: &ClientId, channel: &Channel) -> Message {
    let notice = notice(PresenceAction::Join, Some(client), channel.as_str());
    Message::Text(notice.unwrap_or_default().into())
}

/// A presence notice. To be connected is to be on [`ALL`].
fn notice(action: PresenceAction, client: Option<&ClientId>, channel: &str) -> Option<String> {
    let name = client.map_or("None", ClientId::as_str);
    let is_all = channel == ALL;
    let (kind, body) = match action {
        PresenceAction::Connect if is_all => ("connect", format!("User: {name} connected.")),
        PresenceAction::Disconnect | PresenceAction::Timeout if is_all => {
            ("disconnect", format!("User: {name} disconnected."))
        }
        PresenceAction::Connect | PresenceAction::Join => {
            ("subscribe", format!("User: {name} subscribed to {channel}"))
        }
        PresenceAction::Disconnect | PresenceAction::Leave | PresenceAction::Timeout => (
            "unsubscribe",
            format!("User: {name} unsubscribed from {channel}"),
        ),
        _ => return None,
    };
    let (id, body) = (id(client), quote(&body));
    Some(format!(
        r#"{{"message":{{"type":"{kind}","subscriber_id":{id},"body":{body}}}}}"#
    ))
}

fn id(client: Option<&ClientId>) -> String {
    // Neither a string nor a number can fail to be written.
    client
        .and_then(|client| serde_json::to_string(client).ok())
        .unwrap_or_else(|| "null".into())
}

fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use polywire_core::{Draft, Position, PresenceEvent};

    fn json(text: &'static str) -> Payload {
        Payload::json(JsonText::parse(text.into()).unwrap())
    }

    fn encode(draft: Draft) -> Option<String> {
        let encoder = SethEncoder { only_proven: false };
        match encoder.encode(&draft.at(Position::default()))? {
            Message::Text(text) => Some(text.to_string()),
            Message::Binary(_) => panic!("Seth has no binary messages"),
        }
    }

    fn room() -> Channel {
        Channel::new("room").unwrap()
    }

    #[test]
    fn splices_the_posted_object_untouched() {
        let text = encode(Draft::new(
            room(),
            json(r#"{ "n": 1.50, "sender_id": [1] }"#),
        ));
        assert_eq!(
            text.unwrap(),
            r#"{"message":{ "n": 1.50, "sender_id": [1] },"sender_id":[1]}"#
        );
        let text = encode(Draft::new(room(), json(r#"{"sender\u005fid":7}"#)));
        assert_eq!(
            text.unwrap(),
            r#"{"message":{"sender\u005fid":7},"sender_id":7}"#
        );
        let ann = ClientId::new("ann").unwrap();
        let text = encode(Draft::new(ann, json(r#"{"a":1}"#)));
        assert_eq!(
            text.unwrap(),
            r#"{"message":{"a":1},"target_id":"ann","sender_id":null}"#
        );
    }

    #[test]
    fn shows_what_other_protocols_publish() {
        let bob = ClientId::new("bob").unwrap();
        let text = encode(Draft::new(room(), Payload::text("hi \"you\"")).publisher(bob));
        assert_eq!(
            text.unwrap(),
            r#"{"message":"hi \"you\"","sender_id":"bob"}"#
        );
        let text = encode(Draft::new(room(), Payload::Binary(vec![0, 255].into())));
        assert_eq!(text.unwrap(), r#"{"message":"AP8=","sender_id":null}"#);
        assert_eq!(
            encode(Draft::new(room(), json("1")).kind(Kind::Action)),
            None
        );
    }

    #[test]
    fn notices_keep_the_type_of_an_id_and_its_full_stops() {
        let all = Channel::new(ALL).unwrap();
        let notice_on = |channel: &Channel, action, client| {
            let draft = Draft::new(channel.clone(), Payload::text(""));
            encode(draft.kind(Kind::Presence(event(action, client))))
        };
        let notice = |action, client| notice_on(&room(), action, client);
        let seven = Some(ClientId::number(&7.into()));
        assert_eq!(
            notice_on(&all, PresenceAction::Connect, seven.clone()).unwrap(),
            r#"{"message":{"type":"connect","subscriber_id":7,"body":"User: 7 connected."}}"#
        );
        assert_eq!(
            notice_on(&all, PresenceAction::Disconnect, seven.clone()).unwrap(),
            r#"{"message":{"type":"disconnect","subscriber_id":7,"body":"User: 7 disconnected."}}"#
        );
        let unsubscribed = r#"{"message":{"type":"unsubscribe","subscriber_id":7,"body":"User: 7 unsubscribed from room"}}"#;
        for action in [PresenceAction::Disconnect, PresenceAction::Timeout] {
            assert_eq!(notice(action, seven.clone()).unwrap(), unsubscribed);
        }
        assert_eq!(
            notice(PresenceAction::Join, None).unwrap(),
            r#"{"message":{"type":"subscribe","subscriber_id":null,"body":"User: None subscribed to room"}}"#
        );
        assert_eq!(
            notice(PresenceAction::Leave, seven.clone()).unwrap(),
            unsubscribed
        );
        assert_eq!(notice(PresenceAction::StateChange, seven), None);
    }

    fn event(action: PresenceAction, client: Option<ClientId>) -> PresenceEvent {
        PresenceEvent {
            action,
            client,
            occupancy: 1,
            state: None,
        }
    }

    proptest::proptest! {
        /// What clients get is JSON, whatever an id, a channel or a text holds.
        #[test]
        fn any_text_gives_json(id in "\\PC{1,40}", text in "\\PC*") {
            let client = ClientId::new(&id).unwrap();
            let message = encode(Draft::new(client.clone(), Payload::text(text.clone()))).unwrap();
            let value: serde_json::Value = serde_json::from_str(&message).unwrap();
            proptest::prop_assert_eq!(&value["message"], &serde_json::json!(text));
            proptest::prop_assert_eq!(&value["target_id"], &serde_json::json!(id));
            let event = event(PresenceAction::Join, Some(client));
            let notice = Draft::new(Channel::new(&id).unwrap(), Payload::text(""));
            let notice = encode(notice.kind(Kind::Presence(event))).unwrap();
            let value: serde_json::Value = serde_json::from_str(&notice).unwrap();
            proptest::prop_assert_eq!(&value["message"]["subscriber_id"], &serde_json::json!(id));
        }
    }
}
