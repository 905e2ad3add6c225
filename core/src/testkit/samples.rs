//! Publications of every sort.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    ClientId, ConnectionId, Draft, JsonText, Kind, NodeId, Payload, PresenceAction, PresenceEvent,
    PresenceSummary, Retention, Target,
};

fn json(text: &'static str) -> JsonText {
    JsonText::parse(Bytes::from_static(text.as_bytes())).expect("a sample is valid JSON")
}

/// Drafts for `target` with every kind of payload and every field in use; what a backend or a store may
/// have to carry.
pub fn sample_drafts(target: &Target) -> Vec<Draft> {
    let payloads = [
        Payload::json(json(r#"{"a" : 1.50, "b":["\u00e9",null]}"#)),
        Payload::json(json("17")),
        // A text that remembers how it was written, one with half a character, and texts with odd characters.
        Payload::json(json(r#""caf\u00e9""#)),
        Payload::json(json(r#""\ud800""#)),
        Payload::text(""),
        Payload::text("line\r\nline\u{0}\u{2028}\"\\ \u{1f600}"),
        Payload::Binary(Bytes::from_static(&[0, 255, 13, 10, 1])),
        Payload::Binary(Bytes::new()),
        Payload::text("x".repeat(100_000)),
    ];
    let mut drafts: Vec<_> = payloads
        .into_iter()
        .map(|payload| Draft::new(target.clone(), payload))
        .collect();
    let plain = |text: &'static str| Draft::new(target.clone(), Payload::text(text));
    let text_id = ClientId::new("ann \u{e9}/*").expect("not empty");
    let number_id = ClientId::number(&42.into());
    let presence = |action, client: Option<ClientId>, state| {
        Kind::Presence(PresenceEvent {
            action,
            client,
            occupancy: 3,
            state,
        })
    };
    let mut with_meta = plain("meta").publisher(text_id.clone());
    with_meta.meta = Some(json(r#"{"lang": "en"}"#));
    with_meta.properties = Some(json(r#"{"qos":1,"content_type":"a"}"#));
    with_meta.label = Some("greeting".into());
    drafts.extend([
        with_meta,
        plain("number").publisher(number_id.clone()),
        plain("signal")
            .kind(Kind::Signal)
            .retention(Retention::NONE),
        plain("action").kind(Kind::Action),
        plain("").kind(Kind::Clear).retention(Retention::NONE),
        plain("ttl").retention(Retention {
            store: true,
            ttl: Some(Duration::from_millis(1500)),
        }),
        plain("except").except(ConnectionId::next(NodeId::random())),
    ]);
    let actions = [
        PresenceAction::Connect,
        PresenceAction::Disconnect,
        PresenceAction::Join,
        PresenceAction::Leave,
        PresenceAction::Timeout,
        PresenceAction::StateChange,
    ];
    for action in actions {
        drafts.push(
            plain("")
                .kind(presence(action, Some(number_id.clone()), Some(json("{}"))))
                .retention(Retention::NONE),
        );
    }
    drafts.push(plain("").kind(presence(PresenceAction::Join, None, None)));
    let mut summary = PresenceSummary::default();
    for (client, action) in [
        (text_id, PresenceAction::Join),
        (number_id, PresenceAction::Leave),
        (
            ClientId::new("eve").expect("not empty"),
            PresenceAction::Timeout,
        ),
    ] {
        summary.note(&PresenceEvent {
            action,
            client: Some(client),
            occupancy: 300,
            state: None,
        });
    }
    drafts.push(
        plain("")
            .kind(Kind::PresenceSummary(Box::new(summary)))
            .retention(Retention::NONE),
    );
    drafts
}
