//! Errors of an event handler's settings.

/// What is wrong with an event handler.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// Not a URL of HTTP.
    #[error("the url is not valid; write it as https://host/path or http://host/path")]
    Url,
    /// A place in the host.
    #[error(
        "the host of the url must be fixed; {{hub}} and {{event}} may stand in its path and query"
    )]
    PlaceInHost,
    /// A place that nothing fills.
    #[error("the url has a place that is not known; there are {{hub}} and {{event}}")]
    UnknownPlace,
    /// An address that is not public.
    #[error(
        "the host of the url is a private address; set allow_private_addresses if that is meant"
    )]
    PrivateAddress,
    /// An `Authorization` that cannot stand in a header.
    #[error("the authorization has characters that a header cannot hold")]
    Authorization,
    /// No HTTP client.
    #[error("no HTTPS client can be made; are the system's certificates installed?")]
    Client,
}
