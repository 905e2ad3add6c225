//! The audit log, and that no secret stands in any log.

use serde_json::{Value, json};

use crate::{
    command_line::run,
    support::{SOON, Server, ServerOptions, azure, eventually, pubnub},
};

const SECRET: &str = "a secret of 32 bytes at least, for tokens";
const PASSWORD: &str = "a wrong password that nobody may read";
const SECRET_KEY: &str = "sec-of-the-key-set";

fn token(claims: Value) -> String {
    let mut all = json!({"iat": azure::in_secs(-60), "exp": azure::in_secs(600)});
    let claims = claims.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(claims);
    azure::token_of(&json!({"alg": "HS256", "typ": "JWT"}), &all, SECRET)
}

/// The audit lines so far, each as its fields.
fn lines(server: &Server) -> Vec<Value> {
    let log = server.process.stderr();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let audit = lines.filter(|line: &Value| line["target"] == "audit");
    audit.map(|mut line| line["fields"].take()).collect()
}

/// Waits for the one line that has these fields.
#[track_caller]
fn expect(server: &Server, fields: &Value) -> Value {
    let fields = fields.as_object().unwrap();
    let found = eventually(&format!("a line with {fields:?}"), SOON, || {
        let mut lines = lines(server);
        lines.retain(|line| fields.iter().all(|(name, value)| line[name] == *value));
        (!lines.is_empty()).then_some(lines)
    });
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

#[test]
fn every_decision_has_one_line_and_no_secret_is_logged() {
    let access_key = azure::AZURE_KEY;
    let server = ServerOptions::new(&["--log-format", "json", "--log", "debug"])
        .config(&format!(
            "
            auth = 'jwt'
            persistence = 'memory'
            [[jwt.keys]]
            algorithm = 'HS256'
            secret = '{SECRET}'
            [apps.seth]
            authenticate_connect = true
            [apps.knsock]
            authenticate = true
            [apps.emitter]
            authenticate = true
            face = 'plain'
            [apps.webpubsub]
            access_key = '{access_key}'
            [apps.pubnub]
            authenticate = true
            [[apps.pubnub.key_sets]]
            publish_key = 'pub'
            subscribe_key = 'sub'
            secret_key = '{SECRET_KEY}'
            delete_history = true
            "
        ))
        .start();
    let ann = token(json!({"sub": "ann", "jti": "of-ann", "rights": {"read": "a"}}));
    let operator = token(json!({
        "sub": "op", "jti": "of-op", "rights": {"read": "*", "write": "*", "delete": "*", "manage": "*"},
    }));
    let bearer = |token: &str| format!("Bearer {token}");
    let peer = |line: &Value| {
        let peer = line["peer"].as_str().unwrap();
        assert!(peer.contains("127.0.0.1"), "{line}");
    };

    let headers = [("Authorization", &*bearer(&ann))];
    let refused = server.request("POST", "/api/channels/b/", &headers, Some(b"{}"));
    assert_eq!(refused.status, 403);
    peer(&expect(
        &server,
        &json!({
            "outcome": "refused", "action": "publish", "of": "b",
            "app": "seth", "client": "ann", "credential": "of-ann",
        }),
    ));

    let target = format!("/v3/history/sub-key/sub/channel/old?uuid=u&auth={operator}");
    let deleted = server.request("DELETE", &target, &[], None);
    assert_eq!(deleted.status, 200, "{deleted:?}");
    peer(&expect(
        &server,
        &json!({
            "outcome": "done", "action": "delete", "of": "old",
            "app": "pubnub", "credential": "of-op",
        }),
    ));

    let body = json!({"ttl": 60, "permissions": {
        "resources": {"channels": {"a": 1}}, "patterns": {},
    }});
    let body = body.to_string();
    let path = "/v3/pam/sub/grant";
    let target = pubnub::signed("pub", SECRET_KEY, "POST", path, &body);
    let signature = target.rsplit_once("v2.").unwrap().1.to_owned();
    let granted = server.post(&target, &body);
    assert_eq!(granted.status, 200, "{granted:?}");
    let granted = granted.json()["data"]["token"].as_str().unwrap().to_owned();
    peer(&expect(
        &server,
        &json!({"outcome": "done", "action": "grant", "app": "pubnub"}),
    ));
    let poll = format!("/v2/subscribe/sub/b/0?tt=0&uuid=u&auth={granted}");
    assert_eq!(server.get(&poll).status, 403);

    let header = format!("Authorization: {}", bearer(&operator));
    let url = server.url();
    for (more, action, outcome) in [
        (None, "revoke", "revoked"),
        (Some("--lift"), "lift", "lifted"),
    ] {
        let mut args = vec![
            "revoke", "--client", "cleo", "--server", &url, "--header", &header,
        ];
        args.extend(more);
        let output = run(&args);
        assert!(output.status.success(), "{output:?}");
        expect(&server, &json!({"outcome": outcome, "of": "client/cleo"}));
        peer(&expect(
            &server,
            &json!({
                "outcome": "done", "action": action, "of": "cleo",
                "app": "admin", "client": "op", "credential": "of-op",
            }),
        ));
    }
    let bearer_of_operator = bearer(&operator);
    let headers = [
        ("Authorization", &*bearer_of_operator),
        ("Content-Type", "application/json"),
    ];
    let call = |name: &str, body: &Value| {
        let target = format!("/admin/v1/{name}");
        let body = body.to_string();
        let answer = server.request("POST", &target, &headers, Some(body.as_bytes()));
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    call("disconnect", &json!({"client": "cleo"}));
    peer(&expect(
        &server,
        &json!({
            "outcome": "done", "action": "disconnect", "of": "cleo",
            "app": "admin", "client": "op", "credential": "of-op",
        }),
    ));

    // Wrong ones, in every place that there is for one.
    let wrong = [("Authorization", &*bearer(PASSWORD))];
    let answer = server.request("POST", "/api/channels/b/", &wrong, Some(b"{}"));
    assert_eq!(answer.status, 401);
    let encoded = PASSWORD.replace(' ', "%20");
    let target = format!("/publish/pub/sub/0/b/0/1?uuid=u&auth={encoded}");
    assert_eq!(server.get(&target).status, 403);
    let azure_path = azure::client_path(&json!({"sub": "ann"}));
    let azure_token = azure_path.rsplit_once('=').unwrap().1;
    drop(azure::AzureClient::try_open(
        server.address,
        &azure_path,
        azure::JSON,
        &[],
    ));
    let log = server.process.stderr();
    assert!(log.contains("DEBUG"), "it logs that much");
    for secret in [
        SECRET,
        PASSWORD,
        &encoded,
        SECRET_KEY,
        access_key,
        &ann,
        &operator,
        &granted,
        &signature,
        azure_token,
    ] {
        assert!(!log.contains(secret), "{secret:?} stands in the log");
    }
}
