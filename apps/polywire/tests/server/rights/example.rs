//! The example of docs/rights.md holds in all protocols.

use std::{fs, path::Path, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use super::{
    Outcome::{Done, Refused},
    action::{Mqtt, http, lines, mqtt, pubnub, seth},
    policy::Shown,
};
use crate::support::{LineSocket, SOON, Server, ServerOptions, azure};

/// The configuration on the page.
fn configuration() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rights.md");
    let page = fs::read_to_string(path).unwrap();
    let (_, rest) = page.split_once("<!-- example -->\n```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    assert!(example.lines().count() <= 10, "ten lines");
    example.to_owned()
}

fn bearer(token: &str) -> Shown {
    Shown {
        header: Some(("Authorization", format!("Bearer {token}"))),
        token: Some(token.into()),
        ..Shown::default()
    }
}

fn publish(server: &Server, shown: &Shown, channel: &str) -> super::Outcome {
    let target = format!("/api/channels/{}/", channel.replace('/', "%2F"));
    http(server, shown, "POST", &target, Some("{}"))
}

fn pubnub_publish(server: &Server, shown: &Shown, channel: &str) -> super::Outcome {
    let channel = channel.replace('/', "%2F");
    pubnub(
        server,
        shown,
        &format!("/publish/demo/demo/0/{channel}/0/1?"),
    )
}

fn pubnub_subscribe(server: &Server, shown: &Shown, channel: &str) -> super::Outcome {
    let channel = channel.replace('/', "%2F");
    pubnub(
        server,
        shown,
        &format!("/v2/subscribe/demo/{channel}/0?tt=0"),
    )
}

#[test]
fn the_example_of_the_page_holds_in_all_protocols() {
    let configuration = configuration();
    let server = ServerOptions::new(&[]).config(&configuration).start();
    let server = &server;
    let shop = bearer("a long and random key of the shop");
    let claims = json!({"sub": "d1", "roles": "device", "exp": azure::in_secs(600)});
    let secret = "a secret of 32 bytes at least, for tokens";
    let device = bearer(&azure::token_of(&json!({"alg": "HS256"}), &claims, secret));
    let anybody = Shown::default();
    let ann = Shown {
        header: Some((
            "Authorization",
            format!("Basic {}", BASE64_STANDARD.encode("ann:hunter2")),
        )),
        token: Some("hunter2".into()),
        user: "ann".into(),
        ..Shown::default()
    };
    let ann_at_pubnub = Shown {
        token: Some("ann:hunter2".into()),
        ..Shown::default()
    };

    // Anyone may read the news, and nothing else.
    assert_eq!(seth(server, &anybody, "news/a"), Done);
    assert_eq!(seth(server, &anybody, "iot/d1/t"), Refused);
    assert_eq!(publish(server, &anybody, "news/a"), Refused);
    assert_eq!(pubnub_subscribe(server, &anybody, "news/a"), Done);
    assert_eq!(pubnub_subscribe(server, &anybody, "iot/d1/t"), Refused);
    assert_eq!(pubnub_publish(server, &anybody, "news/a"), Refused);
    assert_eq!(mqtt(server, &anybody, &Mqtt::Subscribe("news/#")), Done);
    assert_eq!(mqtt(server, &anybody, &Mqtt::Subscribe("#")), Refused);
    assert_eq!(
        mqtt(server, &anybody, &Mqtt::Subscribe("iot/d1/t")),
        Refused
    );
    assert_eq!(mqtt(server, &anybody, &Mqtt::Publish("news/a")), Refused);
    let role = json!(["webpubsub.joinLeaveGroup.news/a"]);
    let path = azure::client_path(&json!({ "role": role }));
    // The key of Azure is the server's own until one is set.
    assert!(azure::AzureClient::try_open(server.address, &path, azure::JSON, &[]).is_err());

    // The shop's servers write them.
    assert_eq!(publish(server, &shop, "news/a"), Done);
    assert_eq!(publish(server, &shop, "iot/d1/t"), Refused);
    assert_eq!(pubnub_publish(server, &shop, "news/a"), Done);
    assert_eq!(mqtt(server, &shop, &Mqtt::Publish("news/a")), Done);
    assert_eq!(mqtt(server, &shop, &Mqtt::Publish("other")), Refused);
    assert_eq!(mqtt(server, &shop, &Mqtt::Subscribe("iot/#")), Refused);

    // Devices write below their own id, by MQTT and nothing else.
    assert_eq!(mqtt(server, &device, &Mqtt::Publish("iot/d1/t")), Done);
    assert_eq!(mqtt(server, &device, &Mqtt::Publish("iot/d2/t")), Refused);
    assert_eq!(mqtt(server, &device, &Mqtt::Publish("news/a")), Refused);
    assert_eq!(mqtt(server, &device, &Mqtt::Subscribe("iot/d1/t")), Refused);
    assert_eq!(publish(server, &device, "iot/d1/t"), Refused);
    assert_eq!(pubnub_publish(server, &device, "iot/d1/t"), Refused);
    assert_eq!(seth(server, &device, "iot/d1/t"), Refused);

    // Staff see everything.
    assert_eq!(seth(server, &ann, "iot/d1/t"), Done);
    assert_eq!(mqtt(server, &ann, &Mqtt::Subscribe("#")), Done);
    assert_eq!(mqtt(server, &ann, &Mqtt::Publish("news/a")), Refused);
    assert_eq!(pubnub_subscribe(server, &ann_at_pubnub, "iot/d1/t"), Done);
    assert_eq!(publish(server, &ann, "news/a"), Refused);

    // kn-sock has no answers: what comes first is seen.
    let mut reader = lines(server, &anybody);
    reader.subscribe("iot/d1/t");
    reader.subscribe("news/a");
    let mut staff = lines(server, &ann_at_pubnub);
    staff.subscribe("iot/d1/t");
    staff.subscribe("news/a");
    let by_lines = |shown: &Shown, topic: &str, message: &str| {
        let mut socket = lines(server, shown);
        socket.publish(topic, message);
        let _ = socket.tcp().shutdown(std::net::Shutdown::Write);
        socket.expect_close();
    };
    // Both have joined when this has come.
    for socket in [&mut reader, &mut staff] {
        let tcp = socket.tcp();
        tcp.set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        while tcp.peek(&mut [0]).is_err() {
            by_lines(&shop, "news/a", "begin");
        }
        tcp.set_read_timeout(Some(SOON)).unwrap();
    }
    by_lines(&device, "iot/d1/t", "by a device, not by MQTT");
    by_lines(&anybody, "news/a", "by anybody");
    assert_eq!(mqtt(server, &device, &Mqtt::Publish("iot/d1/t")), Done);
    by_lines(&shop, "news/a", "end");
    let until_end = |socket: &mut LineSocket| {
        let mut messages = Vec::new();
        loop {
            let line = socket.receive().unwrap();
            let text = line["message"].as_str().unwrap_or_default().to_owned();
            if text == "end" {
                return messages;
            }
            if text != "begin" {
                messages.push(text);
            }
        }
    };
    assert_eq!(until_end(&mut reader), Vec::<String>::new());
    assert_eq!(until_end(&mut staff), ["by MQTT"]);
}
