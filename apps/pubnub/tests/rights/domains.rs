//! Key sets are domains: no name of another one by any spelling.

use polywire_core::{Channel, Domain, Draft, Payload};
use polywire_pubnub::PubNub;
use polywire_testing::Server;
use serde_json::json;

use crate::{
    actions,
    credentials::{FIRST, READ, SECOND},
    start,
};

/// `room` of the second key set as clients of another could write it.
const SPELLINGS: [&str; 4] = [
    "%24domain%2Fpubnub%3As2%2Froom",
    "$domain%2fpubnub:s2%2froom",
    "%24%64omain%2Fpubnub:s2%2F%72oom",
    "$domain%2F%70ubnub:s2%2Froom",
];

#[test]
fn nothing_of_another_key_set_is_named_by_any_spelling() {
    let server = start();
    SECOND.get(&server, "/publish/p2/s2/0/room/0/1?uuid=u");
    for action in actions::ALL.iter().filter(|action| !action.is_about_all()) {
        for spelling in SPELLINGS {
            // Whoever knows the secret key has every right there is in its own domain.
            let answer = action.request_signed(&server, &FIRST, spelling);
            assert_eq!(
                answer.status,
                403,
                "{} {spelling}: {}",
                action.name,
                answer.text()
            );
        }
    }
    let signed = |target: &str| FIRST.get(&server, target);
    for target in [
        "/v2/subscribe/s1/$domain%2Fpubnub:s2%2Froom.%2A/0?tt=1",
        "/v2/subscribe/s1/$domain%2Fpubnub:s2.%2A/0?tt=1",
        "/v2/subscribe/s1/$domain%2F.%2A-pnpres/0?tt=1",
        "/v2/subscribe/s1/room,$domain%2Fpubnub:s2%2Froom/0?tt=1",
        "/v2/presence/sub-key/s1/channel/room,$domain%2Fpubnub:s2%2Froom?uuid=u",
        "/v3/history/sub-key/s1/channel/room,$domain%2Fpubnub:s2%2Froom?uuid=u",
    ] {
        let answer = signed(target);
        assert_eq!(answer.status, 403, "{target}: {}", answer.text());
    }
    // A group leads to no other domain.
    let groups = "/v1/channel-registration/sub-key/s1/channel-group/g";
    let add = signed(&format!("{groups}?add=$domain%2Fpubnub%3As2%2Froom"));
    assert_eq!(add.status, 400, "{}", add.text());
    // Nor does a token.
    for sort in ["channels", "groups"] {
        let terms = json!({"resources": {sort: {"$domain/pubnub:s2/room": READ}}});
        let answer = FIRST.try_grant(&server, &terms);
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
    let everything = FIRST.grant(&server, &json!({"patterns": {"channels": {".*": 15}}}));
    let token = crate::encode(&everything);
    let target = format!("/v2/subscribe/s1/{}/0?tt=1&auth={token}", SPELLINGS[0]);
    assert_eq!(server.get(&target).status, 403);
    // What was like a name of the other before is a name like any.
    let like = signed("/v2/subscribe/s1/s2%3Aroom/0?tt=1");
    assert_eq!((like.status, &like.json()["m"]), (200, &json!([])));
    let lists = signed("/v2/presence/sub-key/s1?uuid=u").json();
    assert!(!lists.to_string().contains("$domain"), "{lists}");
}

#[test]
fn a_bridge_lets_whole_names_through_to_where_rights_reach() {
    let section = format!("hold_secs = 1\n{}{}", FIRST.section(), SECOND.section());
    let builder = Server::compose::<PubNub>(&section);
    let second = Domain::new("pubnub", "s2");
    let server = Server::start(builder.bridge(Domain::COMMON, second.clone()));
    let sent = SECOND.get(&server, "/publish/p2/s2/0/room/0/%22over%22?uuid=u");
    assert_eq!(sent.status, 200);
    let target = format!("/v2/subscribe/s1/{}/0?tt=1", "$domain%2Fpubnub%3As2%2Froom");
    let got = FIRST.get(&server, &target).json();
    assert_eq!(got["m"][0]["d"], "over");
    assert_eq!(got["m"][0]["c"], second.qualify("room").as_ref());
    // To its own clients it is called as ever, and no bridge leads back.
    let own = SECOND.get(&server, "/v2/subscribe/s2/room/0?tt=1").json();
    assert_eq!(own["m"][0]["c"], "room");
    let terms = json!({"resources": {"channels": {"room": READ}}});
    let token = crate::encode(&FIRST.grant(&server, &terms));
    assert_eq!(server.get(&format!("{target}&auth={token}")).status, 403);
}

#[test]
fn a_key_set_is_in_the_common_space_where_it_says_so() {
    let section = "hold_secs = 1\n[[key_sets]]\npublish_key = \"p1\"\nsubscribe_key = \"s1\"\ncommon = false\n\
         [[key_sets]]\npublish_key = \"p2\"\nsubscribe_key = \"s2\"\ncommon = true\n";
    let server = Server::of::<PubNub>(section);
    // What is published from then on is kept for polls.
    assert_eq!(server.get("/v2/subscribe/s2/room/0").status, 200);
    server.publish_within("room", &json!("to all"));
    let got = |key: &str| {
        server
            .get(&format!("/v2/subscribe/{key}/room/0?tt=1"))
            .json()["m"]
            .clone()
    };
    assert_eq!(got("s2")[0]["d"], "to all");
    assert_eq!(got("s1"), json!([]));
    let room = Channel::new("$domain/pubnub:s1/room").unwrap();
    let draft = Draft::new(room, Payload::text("to one"));
    assert!(
        !server.publish_draft(draft),
        "nobody of the common space names it"
    );
    assert_eq!(got("s1"), json!([]));
    assert_eq!(server.get("/publish/p1/s1/0/room/0/1").status, 200);
    assert_eq!(got("s1")[0]["d"], 1);
}
