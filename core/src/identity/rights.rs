//! Rights as they are written: in a configuration, in the claims of a token.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::{ClientId, Grant, InvalidScope, Permissions, Scope};

/// What stands in a scope for the id of the client.
const CLIENT: &str = "{client}";

/// `[anonymous]`, `apps.NAME.channels` and the claims of tokens: rights as they are written, as lists of channels and
/// wildcards such as `news/#` for each right. `{client}` stands for the id of the client.
///
/// # Examples
/// ```
/// use polywire_core::{Channel, ClientId, Identity, Permissions, Rights};
///
/// let rights = Rights {
///     write: vec!["iot/{client}/#".into()],
///     ..Rights::default()
/// };
/// let ann = ClientId::new("ann")?;
/// let identity = Identity {
///     grants: rights.grants(Some(&ann), None)?,
///     client: Some(ann),
///     ..Identity::default()
/// };
/// assert!(identity.allows(Permissions::WRITE, &Channel::new("iot/ann/light")?));
/// assert!(!identity.allows(Permissions::WRITE, &Channel::new("iot/bob/light")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "lists of channels for each right"
)]
pub struct Rights {
    /// Subscribe, see who is there, and read stored messages, as a name, a wildcard or a list of them. Default none.
    #[serde(deserialize_with = "names", skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// Publish, as a name, a wildcard or a list of them. Default none.
    #[serde(deserialize_with = "names", skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    /// Subscribe only, as a name, a wildcard or a list of them. Default none.
    #[serde(deserialize_with = "names", skip_serializing_if = "Vec::is_empty")]
    pub subscribe: Vec<String>,
    /// See who is there, and say something of oneself there, as a name, a wildcard or a list of them. Default none.
    #[serde(deserialize_with = "names", skip_serializing_if = "Vec::is_empty")]
    pub presence: Vec<String>,
    /// Read stored messages, as a name, a wildcard or a list of them. Default none.
    #[serde(deserialize_with = "names", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<String>,
    /// Delete stored messages, as a name, a wildcard or a list of them. Default none.
    #[serde(deserialize_with = "names", skip_serializing_if = "Vec::is_empty")]
    pub delete: Vec<String>,
    /// Change groups of channels and grants; with `*` look into the server, as a name, a wildcard or a list of them. Default none.
    #[serde(deserialize_with = "names", skip_serializing_if = "Vec::is_empty")]
    pub manage: Vec<String>,
}

impl Rights {
    /// Everything.
    pub fn everything() -> Self {
        let everything = || vec!["*".to_owned()];
        Self {
            read: everything(),
            write: everything(),
            delete: everything(),
            manage: everything(),
            ..Self::default()
        }
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.lists()
            .into_iter()
            .all(|(_, names, _)| names.is_empty())
    }

    /// True when a name has the id of the client in it.
    pub fn names_the_client(&self) -> bool {
        let mut names = self.lists().into_iter().flat_map(|(_, names, _)| names);
        names.any(|name| name.contains(CLIENT))
    }

    /// The same as grants to `client` until `expires_at`. What names the client is granted to nobody where there is none,
    /// or where its id has a character that would change what is covered.
    ///
    /// # Errors
    /// The first name that is no scope.
    pub fn grants(
        &self,
        client: Option<&ClientId>,
        expires_at: Option<SystemTime>,
    ) -> Result<Vec<Grant>, InvalidScope> {
        let mut grants: Vec<Grant> = Vec::new();
        for (_, names, permissions) in self.lists() {
            for name in names {
                let Some(name) = of_client(name, client)? else {
                    continue;
                };
                let scope: Scope = name.parse()?;
                match grants.iter_mut().find(|grant| grant.scope == scope) {
                    Some(grant) => grant.permissions = grant.permissions | permissions,
                    None => grants.push(Grant {
                        scope,
                        permissions,
                        expires_at,
                    }),
                }
            }
        }
        Ok(grants)
    }

    /// The lists that have a name in them that is no scope, with what is wrong.
    pub fn problems(&self) -> Vec<(&'static str, InvalidScope)> {
        let wrong = |names: &[String]| {
            let mut scopes = names.iter().map(|name| name.replace(CLIENT, "x"));
            scopes.find_map(|name| name.parse::<Scope>().err())
        };
        let lists = self.lists().into_iter();
        lists
            .filter_map(|(list, names, _)| Some((list, wrong(names)?)))
            .collect()
    }

    fn lists(&self) -> [(&'static str, &[String], Permissions); 7] {
        let read = Permissions::READ | Permissions::PRESENCE | Permissions::HISTORY;
        [
            ("read", &self.read, read),
            ("write", &self.write, Permissions::WRITE),
            ("subscribe", &self.subscribe, Permissions::READ),
            ("presence", &self.presence, Permissions::PRESENCE),
            ("history", &self.history, Permissions::HISTORY),
            ("delete", &self.delete, Permissions::DELETE),
            ("manage", &self.manage, Permissions::MANAGE),
        ]
    }
}

/// A name with the id of the client in its place; none where that cannot be.
fn of_client(name: &str, client: Option<&ClientId>) -> Result<Option<String>, InvalidScope> {
    if !name.contains(CLIENT) {
        return Ok(Some(name.to_owned()));
    }
    // Known to be wrong for everybody, not only for clients whose ids do not fit.
    name.replace(CLIENT, "x").parse::<Scope>()?;
    let fits = |id: &&str| !id.contains(['/', '.', '+', '#', '*', '$', '\0']);
    let id = client.map(ClientId::as_str).filter(fits);
    Ok(id.map(|id| name.replace(CLIENT, id)))
}

/// A name, or a list of names.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        One(String),
        Many(Vec<String>),
    }
    match Names::deserialize(deserializer) {
        Ok(Names::One(name)) => Ok(vec![name]),
        Ok(Names::Many(names)) => Ok(names),
        Err(_) => Err(Error::custom(
            "expected the name of a channel, a wildcard such as `news/#`, or a list of them",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Channel, Identity};

    fn identity(rights: &Rights, client: Option<&str>) -> Identity {
        let client = client.map(|id| ClientId::new(id).unwrap());
        Identity {
            grants: rights.grants(client.as_ref(), None).unwrap(),
            client,
            ..Identity::default()
        }
    }

    #[test]
    fn the_id_of_the_client_widens_nothing() {
        let rights = Rights {
            read: vec!["iot/{client}/#".into()],
            ..Rights::default()
        };
        let other = Channel::new("iot/bob/x").unwrap();
        for id in ["+", "#", "ann/../bob", "bob/x", "*", "b.c"] {
            assert!(identity(&rights, Some(id)).grants.is_empty(), "{id:?}");
        }
        assert!(identity(&rights, None).grants.is_empty());
        let ann = identity(&rights, Some("ann"));
        assert!(!ann.allows(Permissions::READ, &other));
        assert!(ann.allows(Permissions::READ, &Channel::new("iot/ann/x").unwrap()));
    }

    #[test]
    fn a_name_or_a_list_is_read_and_others_are_not() {
        let read = |text: &str| serde_json::from_str::<Rights>(text);
        let rights = read(r#"{"read":"news/#","write":["a","b"]}"#).unwrap();
        assert_eq!(rights.read, ["news/#"]);
        assert_eq!(rights.write, ["a", "b"]);
        assert!(read(r#"{"read":7}"#).is_err() && read(r#"{"reed":"a"}"#).is_err());
        assert!(Rights::default().is_empty() && !rights.is_empty());
        let wrong = read(r#"{"read":"a/#/b","write":["a","","{client}/#"]}"#).unwrap();
        let lists: Vec<_> = wrong.problems().into_iter().map(|(list, _)| list).collect();
        assert_eq!(lists, ["read", "write"]);
    }

    #[test]
    fn rights_on_one_scope_are_one_grant() {
        let everything = Rights::everything().grants(None, None).unwrap();
        assert_eq!(everything, Identity::unrestricted().grants);
    }
}
