//! The services of the vendor, as errors name them.

pub(crate) const ACCESS_MANAGER: &str = "Access Manager";
pub(crate) const ACTIONS: &str = "Actions";
/// What answers where no service does.
pub(crate) const BALANCER: &str = "Balancer";
pub(crate) const CHANNEL_GROUPS: &str = "channel-registry";
pub(crate) const FILES: &str = "Files";
pub(crate) const HISTORY: &str = "History";
pub(crate) const OBJECTS: &str = "Objects";
pub(crate) const PRESENCE: &str = "Presence";
pub(crate) const PUBLISH: &str = "Publish";
pub(crate) const PUSH: &str = "Push";
pub(crate) const SUBSCRIBE: &str = "Subscribe";
