//! Event handlers over HTTP: CloudEvents that are posted to a URL.

mod address;
mod caller;
mod error;
mod handler;
mod post;
mod settings;
mod template;
#[cfg(test)]
mod tests;
mod validation;

pub(crate) use self::{caller::Caller, handler::Webhooks};
pub use self::{
    error::WebhookError,
    settings::{SystemEvent, Webhook},
};
