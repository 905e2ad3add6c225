//! Event handlers over HTTP: CloudEvents that are posted to a URL.

mod address;
mod caller;
mod handler;
mod post;
mod settings;
mod template;
#[cfg(test)]
mod tests;
mod validation;

pub use self::settings::{SystemEvent, Webhook, WebhookError};
pub(crate) use self::{caller::Caller, handler::Webhooks};
