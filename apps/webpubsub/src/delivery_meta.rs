//! Delivery meta: what travels beside a payload, from node to node and to the encoders.

use polywire_core::JsonText;
use serde::{Deserialize, Serialize};

use crate::recipients::{Audience, Recipients};

/// What the properties of our publications begin with; those of others are none of our business.
const MARK: &str = r#"{"webpubsub":"#;

/// What travels beside a payload, where there is anything to say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeliveryMeta {
    /// For whom it is, where it is not for a group.
    #[serde(rename = "whose", skip_serializing_if = "Option::is_none")]
    pub(crate) recipients: Option<Recipients>,
    #[serde(skip_serializing_if = "Audience::is_everybody")]
    pub(crate) audience: Audience,
    /// The bytes are a protobuf `Any`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_protobuf: bool,
}

#[derive(Serialize, Deserialize)]
struct Marked {
    webpubsub: DeliveryMeta,
}

impl DeliveryMeta {
    /// As the properties of a publication.
    pub(crate) fn write(self) -> Option<JsonText> {
        JsonText::of(&Marked { webpubsub: self }).ok()
    }

    /// From the properties of a publication, if they are ours.
    pub(crate) fn read(properties: &JsonText) -> Option<Self> {
        let text = properties.as_str();
        if !text.starts_with(MARK) {
            return None;
        }
        serde_json::from_str::<Marked>(text)
            .ok()
            .map(|marked| marked.webpubsub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filter;

    #[test]
    fn it_survives_its_way() {
        let filter = Filter::parse("userId eq 'ann'").unwrap();
        for meta in [
            DeliveryMeta::default(),
            DeliveryMeta {
                is_protobuf: true,
                ..DeliveryMeta::default()
            },
            DeliveryMeta {
                recipients: Some(Recipients::User("ann".into())),
                audience: Audience {
                    excluded: ["a".to_owned()].into(),
                    filter: Some(filter),
                },
                is_protobuf: false,
            },
        ] {
            let written = meta.clone().write().unwrap();
            assert_eq!(
                DeliveryMeta::read(&written),
                Some(meta),
                "{}",
                written.as_str()
            );
        }
        let other = JsonText::parse("{\"webpubsub\":7}".into()).unwrap();
        assert_eq!(DeliveryMeta::read(&other), None);
    }
}
