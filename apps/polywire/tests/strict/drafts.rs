//! Publications of any content, as far as a door lets it in: JSON is what [`JsonText`] takes.

use polywire_core::{
    Channel, ClientId, Draft, JsonText, Kind, Payload, PresenceAction, PresenceEvent,
};
use proptest::{option, prelude::*, sample::select};

use crate::{NAMES, long};

/// What is JSON to some parsers, or to all.
const JSON: [&str; 16] = [
    "{\"a\":1.50}",
    "[\"\\ud800\",\"\\udc00\\ud800\",\"\\ud83d\\ude00\"]",
    "{\"\\ud800\":\"\\u0000\\u001f\\uffff\"}",
    "\"\\ud800\"",
    "\"text \\u0000\"",
    "1e999",
    "-1E+400",
    "[1e308,-0,1e-999]",
    "{\"sender_id\":{\"a\":[1,2]}}",
    "{\n\"a\":\r\n[ 1 ,\t2 ]}",
    "{\"a\":1,\"a\":2}",
    "null",
    "\"\u{2028}\u{feff}\u{7f}\"",
    "{\"message\":{\"type\":\"error\"}}",
    "[[[[[[]]]]]]",
    "{\"__proto__\":null}",
];

/// What an app could take for its own words about a message. No client writes them; what stands in a store may be older than
/// the rules for it.
const PROPERTIES: [&str; 12] = [
    "{\"qos\":1}",
    "{\"qos\":2,\"retain\":true}",
    "{\"qos\":1,\"response_topic\":\"a\\u0000b\"}",
    "{\"qos\":1,\"response_topic\":\"a/#\"}",
    "{\"qos\":0,\"content_type\":\"a\\nb\",\"utf8\":true}",
    "{\"qos\":1,\"user_properties\":[[\"a\\u0001\",\"\\uffff\"]]}",
    "{\"qos\":1,\"correlation_data\":\"not base64\"}",
    "{\"qos\":9,\"expires\":18446744073709551615}",
    "{\"webpubsub\":{\"isProtobuf\":true}}",
    "{\"webpubsub\":{\"whose\":\"all\",\"audience\":{}}}",
    "{\"lang\":\"en\",\"n\":1e300}",
    "\"meta\"",
];

fn json() -> impl Strategy<Value = Option<JsonText>> {
    let many = |digits: usize| "9".repeat(digits);
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let texts = prop_oneof![
        8 => select(&JSON[..]).prop_map(str::to_owned),
        1 => (1..6000_usize).prop_map(many),
        1 => (1..130_usize).prop_map(deep),
        2 => "\\PC{0,20}".prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    texts.prop_map(|text| JsonText::parse(text.into()).ok())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let texts = select(&JSON[..]).prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![texts, any::<Vec<u8>>()]
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        3 => json().prop_map(|json| json.map_or_else(|| Payload::text("refused"), Payload::json)),
        2 => any::<String>().prop_map(Payload::text),
        1 => (0..1000_usize).prop_map(|length| Payload::text("x".repeat(length))),
        2 => bytes().prop_map(|bytes| Payload::untyped(bytes.into())),
        1 => bytes().prop_map(|bytes| Payload::Binary(bytes.into())),
    ]
}

fn properties() -> impl Strategy<Value = Option<JsonText>> {
    let long = |length: usize| {
        let text = "p".repeat(length);
        JsonText::parse(format!("{{\"qos\":1,\"content_type\":\"{text}\"}}").into()).ok()
    };
    prop_oneof![
        3 => Just(None),
        3 => select(&PROPERTIES[..]).prop_map(|text| JsonText::parse(text.into()).ok()),
        1 => json(),
        1 => (65_530..65_540_usize).prop_map(long),
    ]
}

fn client() -> impl Strategy<Value = ClientId> {
    let texts = any::<String>().prop_filter_map("empty", |text| ClientId::new(&text).ok());
    let numbers = any::<i64>().prop_map(|number| ClientId::number(&number.into()));
    prop_oneof![texts, numbers]
}

const ACTIONS: [PresenceAction; 3] = [
    PresenceAction::Join,
    PresenceAction::Leave,
    PresenceAction::StateChange,
];

fn kind() -> impl Strategy<Value = Kind> {
    let presence = (select(&ACTIONS[..]), option::of(client()), json());
    let presence = presence.prop_map(|(action, client, state)| {
        Kind::Presence(PresenceEvent {
            action,
            client,
            occupancy: 1,
            state,
        })
    });
    prop_oneof![
        6 => Just(Kind::Message),
        1 => Just(Kind::Signal),
        1 => Just(Kind::Action),
        1 => presence,
    ]
}

pub(crate) fn drafts() -> impl Strategy<Value = Draft> {
    let name = prop_oneof![
        8 => select(&NAMES[..]).prop_map(str::to_owned),
        1 => Just(long()),
    ];
    let label = option::of(any::<String>());
    let about = (properties(), properties());
    let fields = (name, payload(), about, label, option::of(client()), kind());
    fields.prop_map(
        |(name, payload, (meta, properties), label, publisher, kind)| {
            Draft::new(Channel::new(&name).unwrap(), payload)
                .meta(meta)
                .properties(properties)
                .label(label.map(Into::into))
                .publisher(publisher)
                .kind(kind)
        },
    )
}
