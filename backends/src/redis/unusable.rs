//! Servers that are reached and cannot be used: why, and what to do.

use redis::{ErrorKind, RedisError, Value};

const REPLICA: &str = "This Redis is a replica, which takes no writes: name its master.";
const SENTINEL: &str = "This is a Sentinel, which keeps no data: name the Redis that it watches.";
const LOADING: &str = "Redis is loading its data; it is tried again.";
const MASTER_DOWN: &str = "This Redis is a replica that has lost its master: name the master.";
const CLUSTER: &str = "This is a Redis Cluster, whose nodes have a part of the channels each: name a Redis that is none.";
const PASSWORD: &str = "Redis refuses the user name or the password: give the right ones, in its URL as \
                        redis://user:password@host.";
const RIGHTS: &str = "Redis does not let this user do what polywire does: give it the keys and the channels that begin with \
                      the prefix, as docs/configuration.md shows.";
/// Commands are answered, and what is published does not come.
pub(super) const DEAF: &str =
    "Redis answers, and does not deliver what is published; the connection is made again.";

/// Why a server that answers with this error cannot be used; none for errors that are about the command.
pub(super) fn by_error(error: &RedisError) -> Option<&'static str> {
    match error.code()? {
        "READONLY" => Some(REPLICA),
        "LOADING" => Some(LOADING),
        "MASTERDOWN" => Some(MASTER_DOWN),
        "MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" | "TRYAGAIN" => Some(CLUSTER),
        "WRONGPASS" | "NOAUTH" => Some(PASSWORD),
        "NOPERM" => Some(RIGHTS),
        _ => None,
    }
}

/// The same of an attempt to connect.
pub(super) fn by_connecting(error: &RedisError) -> Option<&'static str> {
    if error.kind() == ErrorKind::AuthenticationFailed {
        return Some(PASSWORD);
    }
    by_error(error)
}

/// Why a server that answers ROLE like this cannot be used. One that does not answer, because the user may not ask, is
/// known by its errors.
pub(super) fn by_role(role: &Value) -> Option<&'static str> {
    let Value::Array(parts) = role else {
        return None;
    };
    match parts.first()? {
        Value::BulkString(role) if role == b"slave" => Some(REPLICA),
        Value::BulkString(role) if role == b"sentinel" => Some(SENTINEL),
        _ => None,
    }
}

/// Why a server that answers INFO like this cannot be used.
pub(super) fn by_info(info: &str) -> Option<&'static str> {
    let mut lines = info.lines().map(str::trim);
    lines.find_map(|line| match line {
        "redis_mode:cluster" | "server_mode:cluster" => Some(CLUSTER),
        "redis_mode:sentinel" | "server_mode:sentinel" => Some(SENTINEL),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use redis::ServerErrorKind;

    use super::*;

    #[test]
    fn a_server_says_why_it_cannot_be_used() {
        let role = |role: &str| by_role(&Value::Array(vec![Value::BulkString(role.into())]));
        assert_eq!(role("master"), None);
        assert_eq!(role("slave"), Some(REPLICA));
        assert_eq!(role("sentinel"), Some(SENTINEL));
        assert_eq!(by_role(&Value::Nil), None);
        let info = "# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\n";
        assert_eq!(by_info(info), None);
        assert_eq!(
            by_info(&info.replace("standalone", "cluster")),
            Some(CLUSTER)
        );
        let error = |kind: ServerErrorKind| by_error(&RedisError::from((kind.into(), "")));
        assert_eq!(error(ServerErrorKind::ReadOnly), Some(REPLICA));
        assert_eq!(error(ServerErrorKind::BusyLoading), Some(LOADING));
        assert_eq!(error(ServerErrorKind::NoPerm), Some(RIGHTS));
        assert_eq!(error(ServerErrorKind::ExecAbort), None);
    }
}
