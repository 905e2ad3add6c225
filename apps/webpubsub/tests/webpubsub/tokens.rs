//! Azure Web PubSub: which tokens open a connection or let a service in, and what they give.

use polywire_core::Limits;
use polywire_testing::{
    Server,
    peers::{
        HttpConnection,
        azure::{
            AZURE_KEY, AzureClient, JSON, RELIABLE_JSON, client_path, in_secs, service, token,
            token_of,
        },
    },
};
use polywire_webpubsub::WebPubSub;
use serde_json::{Value, json};

fn server() -> Server {
    server_with(Limits::default())
}

fn server_with(limits: Limits) -> Server {
    let keys = format!("access_key = \"{AZURE_KEY}\"\nsecondary_access_key = \"second\"\n");
    Server::start(Server::compose::<WebPubSub>(&keys).limits(limits))
}

/// Without a throttle: what is wrong is told each time.
fn patient() -> Server {
    server_with(Limits {
        wrong_credentials_max: 0,
        ..Limits::default()
    })
}

fn header() -> Value {
    json!({"alg": "HS256", "typ": "JWT", "kid": "any"})
}

/// Claims for the hub `default` that are good.
fn claims() -> Value {
    json!({"aud": "http://h/client/hubs/default", "exp": in_secs(60)})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// The status with which a connection is refused, or 101.
fn status(server: &Server, path: &str, headers: &[(&'static str, &str)]) -> u16 {
    match AzureClient::try_open(server.address, path, JSON, headers) {
        Ok(_) => 101,
        Err(status) => status,
    }
}

#[test]
fn clients_with_bad_tokens_are_refused_with_401() {
    let server = patient();
    let good = token(&claims());
    let (head, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let unsigned = token_of(&json!({"alg": "none"}), &claims(), AZURE_KEY);
    let unsigned = unsigned.rsplit_once('.').unwrap().0;
    let bad = [
        String::new(),
        "x".into(),
        "a.b.c".into(),
        head.to_owned(),
        format!("{head}.{body}"),
        format!("{head}.{body}."),
        format!("{head}.{body}.{signature}x"),
        format!("{head}.{body}x.{signature}"),
        token_of(&header(), &claims(), "another key"),
        // Bytes that base64 would make of the key's text are another key.
        token_of(&header(), &claims(), "\0\0\0"),
        token_of(&json!({"alg": "HS512", "typ": "JWT"}), &claims(), AZURE_KEY),
        format!("{unsigned}."),
        token(&without("exp")),
        token(&without("aud")),
        token(&with("exp", in_secs(-120).into())),
        token(&with("exp", "soon".into())),
        token(&with("exp", Value::Null)),
        token(&with("nbf", in_secs(120).into())),
        token_of(
            &json!({"alg": "HS256", "crit": ["x"], "x": 1}),
            &claims(),
            AZURE_KEY,
        ),
        token(&with("aud", "http://h/client/hubs/other".into())),
        token(&with("aud", "http://h/client/hubs/defaul".into())),
        token(&with("aud", "http://h/api/hubs/default/:send".into())),
        token(&with("aud", "http://h/".into())),
        token(&with("aud", 7.into())),
        token(&with("sub", json!({"a": 1}))),
        token(&with("role", 7.into())),
        token(&json!([])),
        token(&json!("text")),
        "x".repeat(8000),
    ];
    for bad in bad {
        let path = format!("/client/hubs/default?access_token={bad}");
        assert_eq!(status(&server, &path, &[]), 401, "{bad}");
    }
    assert_eq!(status(&server, "/client/hubs/default", &[]), 401);
    let basic = [("authorization", "Basic eA==")];
    assert_eq!(status(&server, "/client/hubs/default", &basic), 401);
}

#[test]
fn who_tries_tokens_out_is_told_to_wait_and_others_get_in() {
    let server = server();
    let connect = |token: &str| {
        let path = format!("/client/hubs/default?access_token={token}");
        status(&server, &path, &[])
    };
    let forged = |number: u64| token_of(&header(), &with("n", number.into()), "a guess");
    for _ in 0..3 {
        // The same mistake counts once.
        assert_eq!(connect(&forged(0)), 401);
    }
    // On a slow machine one more is let through now and then, which is one in 6 s.
    let is_told = |status: u16| match status {
        429 => true,
        status => {
            assert_eq!(status, 401);
            false
        }
    };
    let told = (1..100).find(|number| is_told(connect(&forged(*number))));
    assert!(told.is_some_and(|number| number >= 10), "{told:?}");
    let target = "/api/hubs/default/:send?api-version=2024-01-01";
    let mut answers = (100..200).map(|number| {
        let bearer = format!("Bearer {}", forged(number));
        server.request("POST", target, &[("Authorization", &bearer)], Some(b"x"))
    });
    let told = answers.find(|answer| is_told(answer.status)).unwrap();
    assert_eq!(told.json()["code"], "TooManyRequests");
    // From the same address.
    assert_eq!(connect(&token(&claims())), 101);
    assert_eq!(connect(""), 401, "nothing was shown");
}

#[test]
fn groups_of_a_token_obey_the_rules_of_names() {
    let server = server();
    let own = "$polywire/webpubsub/default";
    let long = "n".repeat(1025);
    let groups = json!([own, "a\0b", " ", long, "good"]);
    let (mut client, _) =
        AzureClient::open(server.address, JSON, &json!({"webpubsub.group": groups}));
    client.settled();
    let exists = |group: &str| {
        let group: String = group.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let target = format!("/api/hubs/default/groups/{group}?api-version=2024-01-01");
        service(server.address, "HEAD", &target, "", None).status
    };
    assert_eq!(exists("good"), 200);
    for group in [own, "a\0b", " ", &long] {
        assert_eq!(exists(group), 404, "{group:?}");
        client.fails(&json!({"type": "joinGroup", "group": group, "ackId": 1}));
    }
    let user = json!({"sub": "u".repeat(1025)});
    let refused = AzureClient::try_open(server.address, &client_path(&user), JSON, &[]);
    assert_eq!(refused.map(drop), Err(400));
}

#[test]
fn tokens_may_come_in_several_forms() {
    let server = server();
    let good = token(&claims());
    let bearer = format!("Bearer {good}");
    let audience = |audience: &str| token(&with("aud", audience.into()));
    for path in [
        format!("/client/hubs/default?access_token={good}"),
        format!("/client/hubs/default/?x=1&access_token={good}"),
        format!("/client/?hub=default&access_token={good}"),
        format!("/client?access_token={good}&hub=default"),
        // Names of hubs have no case.
        format!("/client/hubs/Default?access_token={good}"),
        format!("/client/?hub=DEFAULT&access_token={good}"),
        format!(
            "/client/hubs/default?access_token={}",
            audience("/client/hubs/default")
        ),
        format!(
            "/client/hubs/default?access_token={}",
            audience("https://elsewhere:1/%63lient//hubs/default/?a=b")
        ),
        format!(
            "/client/hubs/default?access_token={}",
            token(&with("aud", json!(["x", "http://h/client/hubs/default"])))
        ),
        format!(
            "/client/hubs/default?access_token={}",
            token_of(&header(), &claims(), "second")
        ),
        // A little earlier than now: clocks differ.
        format!(
            "/client/hubs/default?access_token={}",
            token(&with("exp", in_secs(-5).into()))
        ),
    ] {
        assert_eq!(status(&server, &path, &[]), 101, "{path}");
    }
    let headers = [("authorization", &*bearer), ("origin", "http://elsewhere")];
    assert_eq!(status(&server, "/client/hubs/default", &headers), 101);
    for (path, refused) in [
        (format!("/client/hubs/1a?access_token={good}"), 404),
        (format!("/client/hubs/?access_token={good}"), 404),
        (format!("/client/other?access_token={good}"), 404),
        (format!("/client/hubs/a/b?access_token={good}"), 404),
    ] {
        assert_eq!(status(&server, &path, &[]), refused, "{path}");
    }
}

#[test]
fn claims_give_a_user_roles_and_groups() {
    let server = server();
    let send = |group: &str| json!({"type": "sendToGroup", "group": group, "ackId": 1, "data": 1});
    let one = json!({"role": "webpubsub.sendToGroup.a.b", "webpubsub.group": "a.b", "sub": "ann"});
    let (mut client, hello) = AzureClient::open(server.address, JSON, &one);
    assert_eq!(hello["userId"], "ann");
    assert!(hello.get("reconnectionToken").is_none(), "{hello}");
    assert!(hello["connectionId"].as_str().unwrap().len() >= 22);
    assert_eq!(client.fails(&send("a")), "Forbidden");
    client.send(&send("a.b"));
    let message = client.receive();
    assert_eq!(
        message,
        json!({"type": "message", "from": "group", "fromUserId": "ann", "group": "a.b",
            "dataType": "json", "data": 1})
    );
    assert_eq!(
        client.receive(),
        json!({"type": "ack", "ackId": 1, "success": true})
    );
    assert_eq!(
        client.fails(&json!({"type": "joinGroup", "group": "c", "ackId": 2})),
        "Forbidden"
    );
    let several =
        json!({"role": ["other", "webpubsub.joinLeaveGroup"], "webpubsub.group": ["x", "y"]});
    let (mut client, hello) = AzureClient::open(server.address, JSON, &several);
    assert!(hello["userId"].is_null());
    client.done(&json!({"type": "joinGroup", "group": "c", "ackId": 2}));
    assert_eq!(client.fails(&send("c")), "Forbidden");
    let (mut client, _) = AzureClient::open(server.address, JSON, &json!({"role": []}));
    let leave = json!({"type": "leaveGroup", "group": "g", "ackId": 1});
    assert_eq!(client.fails(&leave), "Forbidden");
}

/// Half a minute later than it says, as clocks may differ by that.
#[test]
fn a_live_connection_ends_with_its_token() {
    let server = server();
    let expired = client_path(&json!({"exp": in_secs(-31)}));
    assert_eq!(status(&server, &expired, &[]), 401);
    let (mut client, hello) =
        AzureClient::open(server.address, RELIABLE_JSON, &json!({"exp": in_secs(-26)}));
    client.done(&json!({"type": "joinGroup", "group": "g", "ackId": 1}));
    let told = client.receive();
    assert_eq!(
        (&told["event"], &told["message"]),
        (
            &json!("disconnected"),
            &json!("Your credentials have expired")
        )
    );
    assert_eq!(client.closed(), 1008);
    let text = |name: &str| hello[name].as_str().unwrap().to_owned();
    let (id, token) = (text("connectionId"), text("reconnectionToken"));
    let mut client = AzureClient::recover(server.address, &id, &token);
    assert_eq!(client.closed(), 1008, "there is nothing to come back to");
}

#[test]
fn services_with_bad_tokens_are_refused_with_401() {
    let server = patient();
    let target =
        "/api/hubs/default/users/u%40x/:send?api-version=2024-12-01&filter=userId%20eq%20'a'";
    let url = format!("http://h:1{target}");
    let path = url.split('?').next().unwrap();
    let post = |authorization: &str| {
        let headers = [
            ("Authorization", authorization),
            ("Content-Type", "text/plain"),
        ];
        let mut connection = HttpConnection::open(server.address);
        let answer = connection.request("POST", target, &headers, Some(b"x"));
        if answer.status == 401 {
            assert_eq!(answer.header("x-ms-error-code"), Some("Unauthorized"));
            assert_eq!(answer.json()["code"], "Unauthorized");
        }
        answer.status
    };
    let bearer = |claims: Value| format!("Bearer {}", token(&claims));
    let good = |audience: &str| bearer(json!({"aud": audience, "exp": in_secs(60), "nameid": "n"}));
    for good in [
        good(&url),
        good(path),
        good(&path.replace("%40", "@")),
        good(&path.replace("/api", "//api")),
        good(&url).replace("Bearer", "bearer"),
    ] {
        assert_eq!(post(&good), 202, "{good}");
    }
    for bad in [
        "".to_owned(),
        "Bearer".into(),
        "Bearer x".into(),
        good(&url).replace("Bearer", "Basic"),
        bearer(json!({"aud": url, "exp": in_secs(-120)})),
        bearer(json!({"aud": url})),
        bearer(json!({"exp": in_secs(60)})),
        good("http://h/api/hubs/default/:send"),
        good("http://h/api/hubs/other/users/u%40x/:send"),
        // What a client has.
        good("http://h/client/hubs/default"),
        format!(
            "Bearer {}",
            token_of(
                &header(),
                &json!({"aud": url, "exp": in_secs(60)}),
                "another"
            )
        ),
    ] {
        assert_eq!(post(&bad), 401, "{bad}");
    }
}
