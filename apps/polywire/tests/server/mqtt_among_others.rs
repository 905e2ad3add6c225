//! MQTT among other protocols: what they publish waits for its sessions, and none of them takes part in its groups.

use std::path::Path;

use crate::support::{HttpConnection, MqttClient, SOON, Server};

const PUBLISH: &str = "/publish/demo/demo/0/iot/0";

/// Kept in memory: what is published is answered when it waits for who is away.
#[test]
fn what_another_protocol_publishes_waits_for_a_session_that_outlives_a_crash() {
    const MESSAGES: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let on_disk = |folder: &Path| Server::start(&["--data-dir", folder.to_str().unwrap()]);
    let mut server = on_disk(folder.path());
    let (mut client, _) = MqttClient::connect(server.address, "away");
    client.subscribe("iot");
    client.disconnect();
    let mut publisher = HttpConnection::open(server.address);
    for n in 0..MESSAGES {
        let answer = publisher.request("GET", &format!("{PUBLISH}/{n}"), &[], None);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    server.process.signal("KILL");
    server.process.wait(SOON);
    let server = on_disk(folder.path());
    let (mut client, was_there) = MqttClient::connect(server.address, "away");
    assert!(was_there);
    for n in 0..MESSAGES {
        assert_eq!(client.message(), n.to_string());
    }
}

#[test]
fn nobody_of_another_protocol_is_a_member_of_a_share_group() {
    let server = Server::start(&[]);
    let (mut member, _) = MqttClient::connect(server.address, "member");
    member.subscribe("$share/g/T");
    let presence = "/v2/presence/sub-key/demo/channel";
    // PubNub itself knows no channel of the second name.
    for (group, status) in [
        ("%24share%2Fg%2FT", 403),
        ("%24polywire%2Fmqtt%2Fshare%2Fg%2FT", 400),
    ] {
        for n in 0..20 {
            let target = format!("{presence}/{group}/heartbeat?uuid=thief-{n}&heartbeat=300");
            assert_eq!(server.get(&target).status, status);
        }
        let publish = format!("/publish/demo/demo/0/{group}/0/1");
        assert_eq!(server.get(&publish).status, status);
        let subscribe = format!("/v2/subscribe/demo/{group}/0?tt=0&uuid=thief");
        assert_eq!(server.get(&subscribe).status, status);
    }
    let everywhere = server.get("/v2/presence/sub-key/demo");
    assert!(
        !everywhere.text().contains("share"),
        "{}",
        everywhere.text()
    );
    let (mut publisher, _) = MqttClient::connect(server.address, "publisher");
    for n in 0..30 {
        publisher.publish("T", &n.to_string());
        assert_eq!(member.message(), n.to_string());
    }
}
