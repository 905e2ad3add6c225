//! The mode of a connection: plain MQTT, or the Emitter protocol.

use std::sync::Arc;

use bytestring::ByteString;
use polywire_core::{Identity, space::Attachment};

use super::{context::EmitterContext, session::EmitterSession};
use crate::{
    codec::{connect::Connect, version::Version},
    delivery::{presence::appear, subscriber::Subscriber},
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
            Faces::Both if context.broker.authenticate => match connect.password {
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

/// A client of which it is not known yet what it speaks: it does nothing before that, and has no right to.
pub(crate) struct Undecided {
    pub(crate) username: Option<ByteString>,
    /// Who it is if it speaks plain MQTT. In the Emitter protocol keys say that.
    pub(crate) identity: Arc<Identity>,
}

/// The protocol that a session speaks.
pub(crate) enum TopicMode {
    /// The first topic will tell.
    Undecided(Box<Undecided>),
    /// Topics are channels.
    Plain,
    /// Topics begin with a key.
    Emitter(Box<EmitterSession>),
}

impl TopicMode {
    /// Decides, for good.
    pub(crate) fn choose(
        &mut self,
        is_emitter: bool,
        context: &Arc<EmitterContext>,
        subscriber: &Arc<Subscriber>,
        version: Version,
        attachment: &mut Attachment,
    ) {
        let Self::Undecided(client) = self else {
            return;
        };
        *self = if is_emitter {
            let username = client.username.as_deref();
            let session = EmitterSession::begin(context, subscriber, version, username);
            Self::Emitter(Box::new(session))
        } else {
            subscriber.set_encoders(context.broker.encoders(version));
            let peer = attachment.origin().peer;
            attachment.renew(client.identity.clone(), peer);
            appear(attachment, subscriber, client.username.as_ref());
            Self::Plain
        };
    }
}
