//! The protocol of a client: a subprotocol of the service, or none of them.

use crate::dialect::Dialect;

/// What a client speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// A subprotocol of the service.
    Spoken { dialect: Dialect, is_reliable: bool },
    /// None of them: frames are data as they are, and go to a group or are events.
    Simple {
        send_to: Option<SendTo>,
        /// What the code behind the hub speaks with its clients.
        subprotocol: Option<String>,
    },
}

/// Where the frames of a client go that speaks none of the subprotocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SendTo {
    pub(crate) group: String,
    /// Not to itself, where it is a member.
    pub(crate) no_echo: bool,
}

/// The subprotocols of the service, by their names.
const SPOKEN: [(&str, Dialect, bool); 4] = [
    ("json.reliable.webpubsub.azure.v1", Dialect::Json, true),
    ("json.webpubsub.azure.v1", Dialect::Json, false),
    (
        "protobuf.reliable.webpubsub.azure.v1",
        Dialect::Protobuf,
        true,
    ),
    ("protobuf.webpubsub.azure.v1", Dialect::Protobuf, false),
];

impl Protocol {
    /// The subprotocol of this name, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let found = SPOKEN
            .iter()
            .find(|(known, ..)| known.eq_ignore_ascii_case(name));
        found.map(|(_, dialect, is_reliable)| Self::Spoken {
            dialect: *dialect,
            is_reliable: *is_reliable,
        })
    }

    /// The name that was agreed on.
    pub(crate) fn subprotocol(&self) -> Option<&str> {
        match self {
            Self::Spoken {
                dialect,
                is_reliable,
            } => {
                let this = |(_, d, r): &&(&str, Dialect, bool)| d == dialect && r == is_reliable;
                SPOKEN.iter().find(this).map(|(name, ..)| *name)
            }
            Self::Simple { subprotocol, .. } => subprotocol.as_deref(),
        }
    }

    /// How its frames are written, where there are any.
    pub(crate) fn dialect(&self) -> Option<Dialect> {
        match self {
            Self::Spoken { dialect, .. } => Some(*dialect),
            Self::Simple { .. } => None,
        }
    }

    /// True when a connection outlives its socket.
    pub(crate) fn is_reliable(&self) -> bool {
        matches!(
            self,
            Self::Spoken {
                is_reliable: true,
                ..
            }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for (name, ..) in SPOKEN {
            let protocol = Protocol::named(name).unwrap();
            assert_eq!(protocol.subprotocol(), Some(name));
            assert_eq!(protocol.is_reliable(), name.contains("reliable"));
            assert_eq!(Protocol::named(&name.to_uppercase()), Some(protocol));
        }
        assert_eq!(Protocol::named("mqtt"), None);
    }
}
