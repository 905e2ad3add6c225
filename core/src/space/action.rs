//! Actions: what the gate is asked about.

use std::fmt;

use crate::{
    channel::Channel,
    identity::{ClientId, Permissions, Resource},
    pattern::Pattern,
};

/// What somebody wants to do, as [`Space::authorize`](super::Space::authorize) is asked.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Action<'a> {
    /// Subscribe to a channel.
    Subscribe(&'a Channel),
    /// Subscribe to all channels that a pattern matches.
    SubscribePattern(&'a Pattern),
    /// Subscribe to the channels of a group, by the group's whole name in the space.
    SubscribeGroup(&'a str),
    /// Publish to a channel.
    Publish(&'a Channel),
    /// Send a private message.
    SendTo(&'a ClientId),
    /// Get the private messages of a client.
    ReceiveAs(&'a ClientId),
    /// See who is on a channel.
    SeePresence(&'a Channel),
    /// Say something of oneself on a channel.
    SetState(&'a Channel),
    /// Be present on a channel as a client, say something of it there, and leave: whoever else a credential proves to be that
    /// client, as long as it is there.
    ActAs(&'a Channel, &'a ClientId),
    /// See who is on the channels of a group and say something of oneself there, by the group's whole name in the space.
    PresenceOfGroup(&'a str),
    /// See who is on all channels that a pattern matches.
    PresenceOfPattern(&'a Pattern),
    /// See who is on any channel.
    PresenceEverywhere,
    /// Read stored messages.
    ReadHistory(&'a Channel),
    /// Read stored messages of all channels that a pattern matches.
    HistoryOfPattern(&'a Pattern),
    /// Delete stored messages.
    DeleteHistory(&'a Channel),
    /// See or change what is in a group, by its whole name in the space.
    ManageGroup(&'a str),
    /// Give and take back rights on a channel.
    ManageChannel(&'a Channel),
    /// See which groups there are.
    ListGroups,
    /// Give and take back any rights: whoever gives them away has all of them.
    GiveRights,
    /// Look into the server, and do with its clients as one likes.
    Administer,
}

impl<'a> Action<'a> {
    /// The right that it takes.
    pub fn permissions(self) -> Permissions {
        match self {
            Self::Subscribe(_)
            | Self::SubscribePattern(_)
            | Self::SubscribeGroup(_)
            | Self::ReceiveAs(_) => Permissions::READ,
            Self::Publish(_) | Self::SendTo(_) => Permissions::WRITE,
            Self::SeePresence(_)
            | Self::SetState(_)
            | Self::PresenceOfGroup(_)
            | Self::PresenceOfPattern(_)
            | Self::PresenceEverywhere => Permissions::PRESENCE,
            Self::ReadHistory(_) | Self::HistoryOfPattern(_) => Permissions::HISTORY,
            Self::DeleteHistory(_) => Permissions::DELETE,
            // Nobody needs it who is that client, or where no other is known to be.
            Self::ActAs(..)
            | Self::ManageGroup(_)
            | Self::ManageChannel(_)
            | Self::ListGroups
            | Self::Administer => Permissions::MANAGE,
            Self::GiveRights => Permissions::ALL,
        }
    }

    /// What the right is asked for.
    pub fn resource(self) -> Resource<'a> {
        match self {
            Self::Subscribe(channel)
            | Self::Publish(channel)
            | Self::SeePresence(channel)
            | Self::SetState(channel)
            | Self::ActAs(channel, _)
            | Self::ReadHistory(channel)
            | Self::DeleteHistory(channel)
            | Self::ManageChannel(channel) => Resource::Channel(channel),
            Self::SubscribePattern(pattern)
            | Self::PresenceOfPattern(pattern)
            | Self::HistoryOfPattern(pattern) => Resource::Pattern(pattern),
            Self::SubscribeGroup(group)
            | Self::PresenceOfGroup(group)
            | Self::ManageGroup(group) => Resource::Group(group),
            Self::SendTo(_)
            | Self::ReceiveAs(_)
            | Self::PresenceEverywhere
            | Self::ListGroups
            | Self::GiveRights
            | Self::Administer => Resource::Everything,
        }
    }

    /// What somebody is told who may not do it.
    pub(super) fn forbidden(self) -> &'static str {
        match self {
            Self::Subscribe(_) => "You may not subscribe there.",
            Self::SubscribePattern(_) => {
                "You may not subscribe to this wildcard: it takes the right to read all that it matches."
            }
            Self::SubscribeGroup(_) => "You may not subscribe to this group.",
            Self::Publish(_) | Self::SendTo(_) => "You may not publish there.",
            Self::ReceiveAs(_) => "You may not get private messages of this client.",
            Self::SeePresence(_)
            | Self::PresenceOfGroup(_)
            | Self::PresenceOfPattern(_)
            | Self::PresenceEverywhere => "You may not see who is there.",
            Self::SetState(_) => "You may not set a state there.",
            Self::ActAs(..) => "Somebody else has proven to be this client.",
            Self::ReadHistory(_) | Self::HistoryOfPattern(_) => {
                "You may not read the history there."
            }
            Self::DeleteHistory(_) => "You may not delete messages there.",
            Self::ManageGroup(_) => "You may not manage this group.",
            Self::ManageChannel(_) => "You may not manage rights there.",
            Self::ListGroups => "You may not see which groups there are.",
            Self::GiveRights => "You may not give and take back rights.",
            Self::Administer => "You may not look into the server.",
        }
    }
}

impl fmt::Display for Action<'_> {
    /// A word for what is wanted, as it stands in the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subscribe(_) | Self::SubscribePattern(_) | Self::SubscribeGroup(_) => "subscribe",
            Self::Publish(_) => "publish",
            Self::SendTo(_) => "send",
            Self::ReceiveAs(_) => "receive",
            Self::ActAs(..) => "act as",
            Self::SeePresence(_)
            | Self::PresenceOfGroup(_)
            | Self::PresenceOfPattern(_)
            | Self::PresenceEverywhere => "presence",
            Self::SetState(_) => "state",
            Self::ReadHistory(_) | Self::HistoryOfPattern(_) => "history",
            Self::DeleteHistory(_) => "delete",
            Self::ManageGroup(_) | Self::ManageChannel(_) | Self::ListGroups => "manage",
            Self::GiveRights => "grant",
            Self::Administer => "administer",
        })
    }
}
