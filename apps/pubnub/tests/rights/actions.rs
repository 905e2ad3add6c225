//! Every action of the protocol as one request.

use polywire_testing::{Endpoint, peers::Answer};

use crate::credentials::{DELETE, Keys, MANAGE, READ, WRITE};

/// What an action takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Right {
    /// One bit of a token.
    Bit(u64),
    /// The secret key.
    Everything,
}

/// An action as a request: `PUB`, `SUB` and `CHANNEL` stand for the keys and the name that it is about.
#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) name: &'static str,
    pub(crate) right: Right,
    method: &'static str,
    target: &'static str,
    body: &'static str,
}

const fn get(name: &'static str, bit: u64, target: &'static str) -> Action {
    Action {
        name,
        right: Right::Bit(bit),
        method: "GET",
        target,
        body: "",
    }
}

const fn delete(name: &'static str, target: &'static str) -> Action {
    Action {
        method: "DELETE",
        ..get(name, DELETE, target)
    }
}

const fn by_secret(action: Action) -> Action {
    Action {
        right: Right::Everything,
        ..action
    }
}

pub(crate) const ALL: &[Action] = &[
    get("subscribe", READ, "/v2/subscribe/SUB/CHANNEL/0?uuid=u"),
    get("poll", READ, "/v2/subscribe/SUB/CHANNEL/0?tt=1&uuid=u"),
    get(
        "presence events",
        READ,
        "/v2/subscribe/SUB/CHANNEL-pnpres/0?uuid=u",
    ),
    get("wildcard", READ, "/v2/subscribe/SUB/CHANNEL.%2A/0?uuid=u"),
    get(
        "group",
        READ,
        "/v2/subscribe/SUB/,/0?channel-group=CHANNEL&uuid=u",
    ),
    get("publish", WRITE, "/publish/PUB/SUB/0/CHANNEL/0/1?uuid=u"),
    Action {
        method: "POST",
        body: "1",
        ..get(
            "publish by POST",
            WRITE,
            "/publish/PUB/SUB/0/CHANNEL/0?uuid=u",
        )
    },
    get(
        "fire",
        WRITE,
        "/publish/PUB/SUB/0/CHANNEL/0/1?norep=1&store=0&uuid=u",
    ),
    get("signal", WRITE, "/signal/PUB/SUB/0/CHANNEL/0/1?uuid=u"),
    get(
        "here now",
        READ,
        "/v2/presence/sub-key/SUB/channel/CHANNEL?uuid=u",
    ),
    get(
        "here now of a group",
        READ,
        "/v2/presence/sub-key/SUB/channel/,?channel-group=CHANNEL&uuid=u",
    ),
    get(
        "heartbeat",
        READ,
        "/v2/presence/sub-key/SUB/channel/CHANNEL/heartbeat?uuid=u",
    ),
    get(
        "leave",
        READ,
        "/v2/presence/sub-key/SUB/channel/CHANNEL/leave?uuid=u",
    ),
    get(
        "get state",
        READ,
        "/v2/presence/sub-key/SUB/channel/CHANNEL/uuid/u?uuid=u",
    ),
    get(
        "set state",
        READ,
        "/v2/presence/sub-key/SUB/channel/CHANNEL/uuid/u/data?state=%7B%7D&uuid=u",
    ),
    by_secret(get(
        "here now everywhere",
        0,
        "/v2/presence/sub-key/SUB?uuid=u",
    )),
    get(
        "history",
        READ,
        "/v2/history/sub-key/SUB/channel/CHANNEL?uuid=u",
    ),
    get(
        "fetch",
        READ,
        "/v3/history/sub-key/SUB/channel/CHANNEL?uuid=u",
    ),
    get(
        "fetch with actions",
        READ,
        "/v3/history-with-actions/sub-key/SUB/channel/CHANNEL?uuid=u",
    ),
    get(
        "counts",
        READ,
        "/v3/history/sub-key/SUB/message-counts/CHANNEL?timetoken=1&uuid=u",
    ),
    delete(
        "delete history",
        "/v3/history/sub-key/SUB/channel/CHANNEL?uuid=u",
    ),
    get(
        "list actions",
        READ,
        "/v1/message-actions/SUB/channel/CHANNEL?uuid=u",
    ),
    Action {
        method: "POST",
        body: "{\"type\":\"t\",\"value\":\"v\"}",
        ..get(
            "add an action",
            WRITE,
            "/v1/message-actions/SUB/channel/CHANNEL/message/1?uuid=u",
        )
    },
    get(
        "list a group",
        MANAGE,
        "/v1/channel-registration/sub-key/SUB/channel-group/CHANNEL?uuid=u",
    ),
    get(
        "add to a group",
        MANAGE,
        "/v1/channel-registration/sub-key/SUB/channel-group/CHANNEL?add=a&uuid=u",
    ),
    get(
        "remove a group",
        MANAGE,
        "/v1/channel-registration/sub-key/SUB/channel-group/CHANNEL/remove?uuid=u",
    ),
    by_secret(get(
        "list groups",
        0,
        "/v1/channel-registration/sub-key/SUB/channel-group?uuid=u",
    )),
    by_secret(Action {
        method: "POST",
        body: "{\"ttl\":1,\"permissions\":{\"resources\":{\"channels\":{\"a\":1}}}}",
        ..get("grant", 0, "/v3/pam/SUB/grant?uuid=u")
    }),
];

impl Action {
    /// True for one that names nothing.
    pub(crate) fn is_about_all(&self) -> bool {
        !self.target.contains("CHANNEL")
    }

    /// What it asks for; `channel` stands in the address as it is.
    fn target(&self, keys: &Keys, channel: &str) -> String {
        let target = self.target.replace("PUB", keys.publish);
        let target = target.replace("SUB", keys.subscribe);
        target.replace("CHANNEL", channel)
    }

    fn send(&self, server: &Endpoint, target: &str) -> Answer {
        let body = (!self.body.is_empty()).then_some(self.body.as_bytes());
        server.request(self.method, target, &[], body)
    }

    pub(crate) fn request(
        &self,
        server: &Endpoint,
        keys: &Keys,
        channel: &str,
        shown: &str,
    ) -> Answer {
        let target = self.target(keys, channel);
        self.send(server, &format!("{target}&{shown}"))
    }

    pub(crate) fn request_signed(&self, server: &Endpoint, keys: &Keys, channel: &str) -> Answer {
        let target = self.target(keys, channel);
        // Signatures cover what is encoded in one way.
        let body = if target.starts_with("/publish") {
            ""
        } else {
            self.body
        };
        let method = if target.starts_with("/publish") {
            "GET"
        } else {
            self.method
        };
        self.send(server, &keys.signed(method, &target, body))
    }
}
