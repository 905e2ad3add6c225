//! Where the packets of a client go: to a connection for life, or to whatever connection it has.

use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use crate::{
    client::Encoders,
    contact::{Contact, Terms},
};

/// Where the packets of a client go.
pub(crate) enum Line {
    /// To one connection: the session ends with it. What is delivered takes no lock.
    Fixed {
        contact: Arc<Contact>,
        terms: Terms,
        /// Known when the face is.
        encoders: OnceLock<Encoders>,
    },
    /// To the connection that the client has, if it has one.
    Changing(RwLock<Place>),
}

/// Where a client is whose session outlives its connections.
pub(crate) struct Place {
    /// Those of the last connection, where it has none.
    pub(crate) terms: Terms,
    pub(crate) encoders: Encoders,
    pub(crate) contact: Option<Arc<Contact>>,
}

/// A line while it is used.
pub(crate) struct Wire<'l> {
    pub(crate) terms: &'l Terms,
    pub(crate) encoders: &'l Encoders,
    /// None when the client is away.
    pub(crate) contact: Option<&'l Contact>,
}

impl Line {
    pub(crate) fn fixed(contact: Arc<Contact>, terms: Terms) -> Self {
        Self::Fixed {
            contact,
            terms,
            encoders: OnceLock::new(),
        }
    }

    /// Uses the line; `None` for a client whose face is not known yet, which is subscribed to nothing.
    pub(crate) fn with<R>(&self, use_it: impl FnOnce(Wire<'_>) -> R) -> Option<R> {
        match self {
            Self::Fixed {
                contact,
                terms,
                encoders,
            } => Some(use_it(Wire {
                terms,
                encoders: encoders.get()?,
                contact: Some(contact),
            })),
            Self::Changing(place) => {
                let place = place.read();
                Some(use_it(Wire {
                    terms: &place.terms,
                    encoders: &place.encoders,
                    contact: place.contact.as_deref(),
                }))
            }
        }
    }

    /// Uses the connection, if there is one, whatever is known of the face.
    pub(crate) fn with_contact(&self, use_it: impl FnOnce(&Contact, &Terms)) {
        match self {
            Self::Fixed { contact, terms, .. } => use_it(contact, terms),
            Self::Changing(place) => {
                let place = place.read();
                if let Some(contact) = &place.contact {
                    use_it(contact, &place.terms);
                }
            }
        }
    }

    /// Takes the wire formats of the face that the client sees.
    pub(crate) fn speak(&self, spoken: Encoders) {
        match self {
            Self::Fixed { encoders, .. } => {
                // A client sees one face.
                let _ = encoders.set(spoken);
            }
            Self::Changing(place) => place.write().encoders = spoken,
        }
    }
}
