//! The mode of a connection: plain MQTT, or the Emitter protocol.

use std::sync::Arc;

use bytestring::ByteString;

use super::{context::EmitterContext, session::EmitterSession};
use crate::{
    codec::{connect::Connect, version::Version},
    delivery::subscriber::Subscriber,
    settings::Faces,
};

/// What can be told from CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DetectedMode {
    /// The first topic will tell.
    Undecided,
    Plain,
    Emitter,
}

impl DetectedMode {
    /// Of a client that connects where these are offered.
    pub(crate) fn of(connect: &Connect, faces: Faces, context: &EmitterContext) -> Self {
        match faces {
            Faces::Emitter => Self::Emitter,
            Faces::Plain => Self::Plain,
            Faces::Both if context.broker.password_place.is_some() => match connect.password {
                Some(_) => Self::Plain,
                None => Self::Emitter,
            },
            Faces::Both => match &connect.will {
                Some(will) if context.is_meant(&will.topic) => Self::Emitter,
                Some(_) => Self::Plain,
                None => Self::Undecided,
            },
        }
    }
}

/// The protocol that a session speaks.
pub(crate) enum TopicMode {
    /// The first topic will tell. With the user name.
    Undecided(Option<ByteString>),
    /// Topics are channels.
    Plain,
    /// Topics begin with a key.
    Emitter(Box<EmitterSession>),
}

impl TopicMode {
    /// Decides, for good.
    pub(crate) async fn choose(
        &mut self,
        is_emitter: bool,
        context: &Arc<EmitterContext>,
        subscriber: &Arc<Subscriber>,
        version: Version,
    ) {
        let Self::Undecided(username) = self else {
            return;
        };
        *self = if is_emitter {
            let username = username.as_deref();
            let session = EmitterSession::begin(context, subscriber, version, username).await;
            Self::Emitter(Box::new(session))
        } else {
            subscriber.set_encoders(context.broker.encoders(version));
            Self::Plain
        };
    }
}
