//! Queues: what is kept for clients that ask later, and what they missed.

use polywire_pubnub::PubNub;
use polywire_testing::{
    Nodes, Server,
    persistence::{HistorySettings, MemoryHistory},
};

/// Publishes, and then reads all that there is behind the first message.
fn read_late(server: &Server, store: bool) -> Vec<u64> {
    let publish = |number: u64| {
        let store = u8::from(store);
        let sent = server.get(&format!("/publish/demo/demo/0/c/0/{number}?store={store}"));
        sent.json()[2].as_str().unwrap().to_owned()
    };
    let mut cursor = publish(0);
    for number in 1..=250 {
        publish(number);
    }
    let mut came = Vec::new();
    loop {
        let got = server
            .get(&format!("/v2/subscribe/demo/c/0?tt={cursor}"))
            .json();
        let messages = got["m"].as_array().unwrap();
        if messages.is_empty() {
            return came;
        }
        assert!(messages.len() <= 100);
        came.extend(messages.iter().map(|m| m["d"].as_u64().unwrap()));
        cursor = got["t"]["t"].as_str().unwrap().to_owned();
    }
}

fn late_polls(server: &Server) -> u64 {
    let counters = server.space().runtime().counters().all();
    let mut late = counters
        .iter()
        .filter(|c| c.reason().contains("poll too late"));
    late.next().unwrap().count()
}

#[test]
fn a_client_that_is_slow_gets_all_in_pages_of_a_hundred() {
    let server = Server::of::<PubNub>("hold_secs = 1");
    assert!(read_late(&server, false).into_iter().eq(1..=250));
    assert_eq!(late_polls(&server), 0);
}

#[test]
fn what_was_missed_is_counted_where_nothing_has_it() {
    let short = "hold_secs = 1\nqueue_bytes_per_channel = 20000";
    let kept = HistorySettings::default();
    let history = || MemoryHistory::new(kept.rules().unwrap(), kept.memory_bytes_max);
    let server = Server::start(Server::compose::<PubNub>(short).persistence(history()));
    assert!(
        read_late(&server, true).into_iter().eq(1..=250),
        "from history"
    );
    assert_eq!(late_polls(&server), 0);
    let server = Server::start(Server::compose::<PubNub>(short).persistence(history()));
    let came = read_late(&server, false);
    assert!(came[0] > 1 && came.iter().copied().eq(came[0]..=250));
    assert_eq!(late_polls(&server), 1);
}

#[test]
fn who_polls_from_before_what_its_node_missed_is_counted_and_gets_what_there_is() {
    let nodes = Nodes::default();
    let start = || nodes.start::<PubNub>("hold_secs = 1");
    let (here, there) = (start(), start());
    let publish = |number: u64| {
        there
            .get(&format!("/publish/demo/demo/0/c/0/{number}"))
            .json()
    };
    // From its first request on a node hears what is published.
    here.get("/v2/subscribe/demo/c/0?tt=0");
    let cursor = publish(0)[2].as_str().unwrap().to_owned();
    let poll = |cursor: &str| {
        here.get(&format!("/v2/subscribe/demo/c/0?tt={cursor}"))
            .json()
    };
    publish(1);
    let got = poll(&cursor);
    assert_eq!(got["m"][0]["d"], 1);
    assert_eq!(late_polls(&here), 0);
    let cursor = got["t"]["t"].as_str().unwrap();
    nodes.miss(&here, &there, "c");
    publish(2);
    let got = poll(cursor);
    assert_eq!(got["m"][0]["d"], 2);
    assert_eq!(late_polls(&here), 1);
    poll(got["t"]["t"].as_str().unwrap());
    assert_eq!(late_polls(&here), 1, "told once");
}
