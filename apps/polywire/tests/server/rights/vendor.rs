//! Credentials of the vendors: roles of Azure tokens. Tokens of PubNub and keys of Emitter have their matrices beside their
//! apps.

use serde_json::{Value, json};

use super::Outcome;
use crate::support::{
    Server, ServerOptions,
    azure::{self, AzureClient},
};

/// A token, and what comes of joining and of sending to the group `m/x` of the hub `default`.
fn cases() -> Vec<(&'static str, Value, &'static str, [Outcome; 2])> {
    use Outcome::{Done, Refused};
    let roles = |roles: &[&str]| json!({ "role": roles });
    let (join, send) = ("webpubsub.joinLeaveGroup", "webpubsub.sendToGroup");
    vec![
        ("no role", roles(&[]), azure::AZURE_KEY, [Refused, Refused]),
        ("join", roles(&[join]), azure::AZURE_KEY, [Done, Refused]),
        ("send", roles(&[send]), azure::AZURE_KEY, [Refused, Done]),
        ("both", roles(&[join, send]), azure::AZURE_KEY, [Done, Done]),
        (
            "join m/x",
            roles(&["webpubsub.joinLeaveGroup.m/x"]),
            azure::AZURE_KEY,
            [Done, Refused],
        ),
        (
            "send m/x",
            roles(&["webpubsub.sendToGroup.m/x"]),
            azure::AZURE_KEY,
            [Refused, Done],
        ),
        (
            "other group",
            roles(&["webpubsub.joinLeaveGroup.m/y", "webpubsub.sendToGroup.m"]),
            azure::AZURE_KEY,
            [Refused, Refused],
        ),
        (
            "wrong key",
            roles(&[join, send]),
            "another key",
            [Refused, Refused],
        ),
        (
            "expired",
            json!({"role": [join, send], "exp": azure::in_secs(-60)}),
            azure::AZURE_KEY,
            [Refused, Refused],
        ),
        (
            "not yet",
            json!({"role": [join, send], "nbf": azure::in_secs(60)}),
            azure::AZURE_KEY,
            [Refused, Refused],
        ),
        (
            "other hub",
            json!({"role": [join, send], "aud": "http://any.host/client/hubs/chat"}),
            azure::AZURE_KEY,
            [Refused, Refused],
        ),
        (
            "revoked client",
            json!({"role": [join, send], "sub": "eve"}),
            azure::AZURE_KEY,
            [Refused, Refused],
        ),
        (
            "revoked token",
            json!({"role": [join, send], "jti": "t1"}),
            azure::AZURE_KEY,
            [Refused, Refused],
        ),
    ]
}

fn attempt(server: &Server, claims: &Value, key: &str, kind: &str) -> Outcome {
    let mut all = json!({"aud": "http://any.host/client/hubs/default", "exp": azure::in_secs(600)});
    all.as_object_mut()
        .unwrap()
        .extend(claims.as_object().unwrap().clone());
    let token = azure::token_of(&json!({"alg": "HS256"}), &all, key);
    let path = format!("/client/hubs/default?access_token={token}");
    let Ok(mut client) = AzureClient::try_open(server.address, &path, azure::JSON, &[]) else {
        return Outcome::Refused;
    };
    let frame = json!({"type": kind, "group": "m/x", "ackId": 1, "data": 1, "dataType": "json"});
    client.send(&frame);
    loop {
        let answer = client.receive();
        match answer["type"].as_str() {
            Some("ack") if answer["success"] == true => return Outcome::Done,
            Some("ack") => {
                assert_eq!(answer["error"]["name"], "Forbidden", "{answer}");
                return Outcome::Refused;
            }
            Some("system") if answer["event"] == "disconnected" => return Outcome::Refused,
            _ => {}
        }
    }
}

#[test]
fn roles_of_azure_tokens_are_rights_on_their_groups() {
    let config = format!("[apps.webpubsub]\naccess_key = '{}'\n", azure::AZURE_KEY);
    let server = ServerOptions::new(&[]).config(&config).start();
    for what in [r#"{"client":"eve"}"#, r#"{"credential":"t1"}"#] {
        let json = [("Content-Type", "application/json")];
        let target = "/admin/v1/revocations";
        let answer = server.request("POST", target, &json, Some(what.as_bytes()));
        assert_eq!(answer.status, 200);
    }
    for (name, claims, key, expected) in cases() {
        for (kind, expected) in ["joinGroup", "sendToGroup"].into_iter().zip(expected) {
            let outcome = attempt(&server, &claims, key, kind);
            assert_eq!(outcome, expected, "{name}: {kind}");
        }
    }
}
