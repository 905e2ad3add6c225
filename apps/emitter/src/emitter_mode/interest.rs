//! The interest of a path: a channel and all below it.

use polywire_core::{
    Channel, Pattern, Refusal,
    space::{Attachment, Subscribed},
};

use crate::codec::filter::Filter;

/// A path as an MQTT filter for it and everything below.
pub(super) fn written(path: &str) -> Option<Channel> {
    let filter = match path {
        "" => "#".to_owned(),
        path => format!("{path}/#"),
    };
    Channel::new(&filter).ok()
}

pub(crate) fn pattern(path: &str) -> Option<Pattern> {
    Pattern::mqtt(written(path)?.as_str()).ok()
}

pub(super) fn filter(path: &str) -> Option<Filter> {
    Some(Filter::Pattern(written(path)?, pattern(path)?))
}

/// What a subscription joins. A path stands for a channel and all below it. The channel is joined by its name where there are no wildcards: that
/// is what dispatchers know it by, and it is quick to deliver to.
pub(super) struct Interest {
    channel: Option<Channel>,
    written: Channel,
    pattern: Pattern,
}

impl Interest {
    /// `None` for what is no path.
    pub(super) fn of(path: &str) -> Option<Self> {
        let is_wild = path.is_empty() || path.split('/').any(|level| level == "+");
        let (channel, filter) = match path {
            "" => (None, "#".to_owned()),
            path if is_wild => (None, format!("{path}/#")),
            path => (Some(Channel::new(path).ok()?), format!("{path}/+/#")),
        };
        Some(Self {
            channel,
            written: Channel::new(&filter).ok()?,
            pattern: Pattern::mqtt(&filter).ok()?,
        })
    }

    /// True when all of it was joined: the dispatcher may have dropped the command.
    pub(super) async fn join(&self, attachment: &mut Attachment) -> Result<bool, Refusal> {
        if let Some(channel) = &self.channel
            && attachment.subscribe(channel.clone()).await? == Subscribed::Dropped
        {
            return Ok(false);
        }
        let (written, pattern) = (self.written.clone(), self.pattern.clone());
        let joined = attachment.subscribe_pattern(written, pattern).await;
        if !matches!(joined, Ok(Subscribed::Joined | Subscribed::Again))
            && let Some(channel) = &self.channel
        {
            // Half of it would be a surprise.
            let _ = attachment.unsubscribe(channel.clone()).await;
        }
        Ok(joined? != Subscribed::Dropped)
    }

    /// True when it was left.
    pub(super) async fn leave(&self, attachment: &mut Attachment) -> Result<bool, Refusal> {
        if let Some(channel) = &self.channel
            && !attachment.unsubscribe(channel.clone()).await?
        {
            return Ok(false);
        }
        let written = self.written.clone();
        attachment.unsubscribe_pattern(written, &self.pattern).await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Both parts together are the path and all below, and no name is in both.
        #[test]
        fn a_path_is_one_channel_and_what_is_below(
            path in "(([ab]|\\+)/){0,3}([ab]|\\+)|",
            name in "([ab]/){0,4}[ab]",
        ) {
            let interest = Interest::of(&path).unwrap();
            let is_channel = interest.channel.is_some_and(|channel| channel.as_str() == name);
            let is_below = interest.pattern.matches(&name);
            prop_assert!(!(is_channel && is_below));
            prop_assert_eq!(is_channel || is_below, pattern(&path).unwrap().matches(&name));
        }
    }
}
