//! Who may do what: every action of every protocol, with every sort of credential of every policy, by raw requests on the
//! real program. What is expected comes from one table of rights; what is found is written into docs/rights.md by
//! `POLYWIRE_TEST_WRITE=1 cargo test -p polywire --test server rights`.

mod action;
mod credential;
mod example;
mod policy;
mod table;
mod tenant;
mod vendor;

use self::{
    action::{ACTIONS, Action},
    credential::{KINDS, Kind, Validity},
    policy::Policy,
};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    Refused,
}

/// The right that an action takes, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Read,
    Write,
    Presence,
    History,
    /// To read history and subscribe.
    FollowHistory,
    Delete,
    /// The right to read all that `m/#` matches.
    ReadBelow,
    ManageEverything,
}

/// What is to come of it: a good credential whose rights cover what the action takes.
fn expected(kind: &Kind, action: &Action) -> Outcome {
    let covers = |names: &[&str]| match action.needs {
        Needs::ReadBelow => names.iter().any(|name| ["*", "m/#"].contains(name)),
        Needs::ManageEverything => names.contains(&"*"),
        // They are done on `m/x`.
        _ => names
            .iter()
            .any(|name| ["*", "m/#", "m/+", "m/x"].contains(name)),
    };
    let rights = &kind.rights;
    let granted = match action.needs {
        Needs::Read | Needs::ReadBelow => covers(rights.read) || covers(rights.subscribe),
        Needs::Write => covers(rights.write),
        Needs::Presence => covers(rights.read) || covers(rights.presence),
        Needs::History => covers(rights.read) || covers(rights.history),
        Needs::FollowHistory => {
            covers(rights.read) || covers(rights.history) && covers(rights.subscribe)
        }
        Needs::Delete => covers(rights.delete),
        Needs::ManageEverything => covers(rights.manage),
    };
    if granted && kind.validity == Validity::Good {
        Outcome::Done
    } else {
        Outcome::Refused
    }
}

#[test]
fn every_action_with_every_credential_of_every_policy() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    let mut tables = Vec::new();
    for policy in Policy::ALL {
        let kinds: Vec<_> = KINDS.iter().filter(|kind| policy.has(kind)).collect();
        let mut rows = Vec::new();
        // A secret of a configuration is one, with one list of rights: each kind has a server of its own.
        let mut shared = None;
        for kind in kinds {
            let server = match (policy.is_shared(), shared.take()) {
                (true, Some(server)) => server,
                _ => policy.start(kind),
            };
            let shown = policy.credential(kind, &server);
            let mut found = Vec::new();
            for action in ACTIONS {
                let outcome = (action.attempt)(&server, &shown, "m/x");
                count += 1;
                if outcome != expected(kind, action) {
                    wrong.push(format!(
                        "{policy:?}, {}, {}: {outcome:?}",
                        kind.name, action.name
                    ));
                }
                found.push(outcome);
            }
            rows.push((kind, found));
            shared = Some(server);
        }
        tables.push((*policy, rows));
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    table::check(&tables);
}
