//! Sorts of credentials, by the rights that they are given and whether they count.

/// Lists of channels for each right.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rights {
    pub(super) read: &'static [&'static str],
    pub(super) write: &'static [&'static str],
    pub(super) subscribe: &'static [&'static str],
    pub(super) presence: &'static [&'static str],
    pub(super) history: &'static [&'static str],
    pub(super) delete: &'static [&'static str],
    pub(super) manage: &'static [&'static str],
}

/// Whether a credential counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    Good,
    /// None is shown.
    Missing,
    Wrong,
    Expired,
    NotYet,
    Revoked,
    /// It is a token for another audience.
    OtherAudience,
}

/// A sort of credential.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) rights: Rights,
    pub(super) validity: Validity,
}

const NOTHING: Rights = Rights {
    read: &[],
    write: &[],
    subscribe: &[],
    presence: &[],
    history: &[],
    delete: &[],
    manage: &[],
};

const EVERYTHING: Rights = Rights {
    read: &["*"],
    write: &["*"],
    delete: &["*"],
    manage: &["*"],
    ..NOTHING
};

const fn good(name: &'static str, rights: Rights) -> Kind {
    Kind {
        name,
        rights,
        validity: Validity::Good,
    }
}

const fn bad(name: &'static str, validity: Validity) -> Kind {
    Kind {
        name,
        rights: EVERYTHING,
        validity,
    }
}

/// Every sort.
pub(super) const KINDS: &[Kind] = &[
    bad("no credential", Validity::Missing),
    bad("wrong", Validity::Wrong),
    bad("expired", Validity::Expired),
    bad("not yet", Validity::NotYet),
    bad("for another audience", Validity::OtherAudience),
    bad("revoked", Validity::Revoked),
    good("everything", EVERYTHING),
    good("nothing", NOTHING),
    good(
        "read `m/x`",
        Rights {
            read: &["m/x"],
            ..NOTHING
        },
    ),
    good(
        "write `m/x`",
        Rights {
            write: &["m/x"],
            ..NOTHING
        },
    ),
    good(
        "subscribe `m/x`",
        Rights {
            subscribe: &["m/x"],
            ..NOTHING
        },
    ),
    good(
        "presence `m/x`",
        Rights {
            presence: &["m/x"],
            ..NOTHING
        },
    ),
    good(
        "history `m/x`",
        Rights {
            history: &["m/x"],
            ..NOTHING
        },
    ),
    good(
        "delete `m/x`",
        Rights {
            delete: &["m/x"],
            ..NOTHING
        },
    ),
    good(
        "read and write `m/#`",
        Rights {
            read: &["m/#"],
            write: &["m/#"],
            ..NOTHING
        },
    ),
    good(
        "read and write `m/+`",
        Rights {
            read: &["m/+"],
            write: &["m/+"],
            ..NOTHING
        },
    ),
    good(
        "read and write `m/y`",
        Rights {
            read: &["m/y"],
            write: &["m/y"],
            ..NOTHING
        },
    ),
    good(
        "read and write `n/#`",
        Rights {
            read: &["n/#"],
            write: &["n/#"],
            ..NOTHING
        },
    ),
    good(
        "read and write `m/x/y/#` and `m.*`",
        Rights {
            read: &["m/x/y/#", "m.*"],
            write: &["m/x/y/#", "m.*"],
            ..NOTHING
        },
    ),
];

impl Kind {
    /// The rights as JSON. Where a client is let in it may subscribe below `probe/` too, by which tests see how far it has come.
    pub(super) fn rights(&self) -> serde_json::Value {
        let rights = &self.rights;
        let mut subscribe: Vec<_> = rights.subscribe.to_vec();
        subscribe.push("probe/#");
        serde_json::json!({
            "read": rights.read, "write": rights.write, "subscribe": subscribe, "presence": rights.presence,
            "history": rights.history, "delete": rights.delete, "manage": rights.manage,
        })
    }

    /// The same as an inline table of TOML.
    pub(super) fn toml(&self) -> String {
        let rights = self.rights();
        let lists = rights.as_object().unwrap().iter();
        let lists: Vec<_> = lists
            .map(|(name, list)| format!("{name} = {list}"))
            .collect();
        format!("{{ {} }}", lists.join(", "))
    }

    /// A word for it, in names.
    pub(super) fn id(&self) -> String {
        let place = KINDS.iter().position(|kind| kind.name == self.name);
        format!("kind-{}", place.unwrap())
    }
}
