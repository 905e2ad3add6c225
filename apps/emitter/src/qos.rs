//! The quality of service with which something was published.

use std::sync::LazyLock;

use polywire_core::{JsonText, Publication};
use rmqtt_codec::types::QoS;

// What every node and every other protocol carries along with a publication is its meta.
const ONE: &str = r#"{"qos":1}"#;
const TWO: &str = r#"{"qos":2}"#;

/// What a publication of this quality says about itself; nothing at quality 0, which is what others publish with.
pub(crate) fn meta(qos: QoS) -> Option<JsonText> {
    static METAS: LazyLock<[Option<JsonText>; 2]> =
        LazyLock::new(|| [ONE, TWO].map(|text| JsonText::parse(text.into()).ok()));
    match qos {
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce => METAS[0].clone(),
        QoS::ExactlyOnce => METAS[1].clone(),
    }
}

/// The quality that a publication came with.
pub(crate) fn of(publication: &Publication) -> QoS {
    match publication.meta.as_ref().map(JsonText::as_str) {
        Some(ONE) => QoS::AtLeastOnce,
        Some(TWO) => QoS::ExactlyOnce,
        _ => QoS::AtMostOnce,
    }
}
