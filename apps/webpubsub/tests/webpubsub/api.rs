//! Azure Web PubSub: the service REST API, one operation and status after another.

use polywire_core::{Channel, ClientId, Rights, space::Whom};
use polywire_testing::{
    SOON, Server, eventually,
    peers::{
        Answer,
        azure::{AZURE_KEY, AzureClient, JSON, RELIABLE_JSON, in_secs, service, token},
    },
};
use polywire_webpubsub::WebPubSub;
use serde_json::{Value, json};

use crate::server;

/// A server, and what is asked of it.
struct Api(Server);

impl Api {
    fn start() -> Self {
        Self(server())
    }

    /// `target` is a method and a path within the hub.
    fn call(&self, target: &str) -> Answer {
        self.post(target, "", None)
    }

    fn post(&self, target: &str, content_type: &str, body: Option<&str>) -> Answer {
        let (method, path) = target.split_once(' ').unwrap();
        let and = if path.contains('?') { '&' } else { '?' };
        let target = format!("/api/hubs/default{path}{and}api-version=2024-12-01");
        service(
            self.0.address,
            method,
            &target,
            content_type,
            body.map(str::as_bytes),
        )
    }

    /// Calls, and checks the status; a success has no body.
    #[track_caller]
    fn is(&self, target: &str, status: u16) {
        let answer = self.call(target);
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        assert!(
            status >= 400 || answer.body.is_empty(),
            "{target}: {answer:?}"
        );
    }

    #[track_caller]
    fn sends(&self, target: &str, text: &str) {
        let answer = self.post(target, "text/plain", Some(text));
        assert_eq!((answer.status, answer.body.len()), (202, 0), "{answer:?}");
    }

    fn client(&self, claims: &Value) -> (AzureClient, String) {
        let (client, hello) = AzureClient::open(self.0.address, JSON, claims);
        (client, hello["connectionId"].as_str().unwrap().to_owned())
    }
}

fn server_text(data: &str) -> Value {
    json!({"type": "message", "from": "server", "dataType": "text", "data": data})
}

fn group_text(group: &str, data: &str) -> Value {
    json!({"type": "message", "from": "group", "group": group, "dataType": "text", "data": data})
}

#[test]
fn every_operation_has_its_status() {
    let api = Api::start();
    let (mut ann, id) = api.client(&json!({"sub": "a/n n", "webpubsub.group": "g/1 x"}));
    // The group is joined behind the first frame.
    ann.settled();
    let user = "a%2Fn%20n";
    let group = "g%2F1%20x";
    for (target, status) in [
        (format!("HEAD /connections/{id}"), 200),
        ("HEAD /connections/nobody".into(), 404),
        (format!("HEAD /users/{user}"), 200),
        ("HEAD /users/nobody".into(), 404),
        (format!("HEAD /groups/{group}"), 200),
        ("HEAD /groups/none".into(), 404),
        (format!("PUT /groups/more/connections/{id}"), 200),
        ("PUT /groups/more/connections/nobody".into(), 404),
        (format!("DELETE /groups/more/connections/{id}"), 204),
        (format!("DELETE /groups/more/connections/{id}"), 204),
        ("DELETE /groups/more/connections/nobody".into(), 204),
        (format!("PUT /users/{user}/groups/more"), 200),
        ("PUT /users/nobody/groups/more".into(), 404),
        ("HEAD /groups/more".into(), 200),
        (format!("DELETE /users/{user}/groups/more"), 204),
        ("HEAD /groups/more".into(), 404),
        ("DELETE /users/nobody/groups/more".into(), 204),
        (format!("DELETE /users/{user}/groups"), 204),
        (format!("HEAD /groups/{group}"), 404),
        ("DELETE /users/nobody/groups".into(), 204),
        (format!("PUT /groups/{group}/connections/{id}"), 200),
        (format!("DELETE /connections/{id}/groups"), 204),
        (format!("HEAD /groups/{group}"), 404),
        ("DELETE /connections/nobody/groups".into(), 204),
        (
            format!("HEAD /permissions/sendToGroup/connections/{id}"),
            200,
        ),
        (
            "HEAD /permissions/sendToGroup/connections/nobody".into(),
            404,
        ),
        (
            format!("DELETE /permissions/sendToGroup/connections/{id}"),
            204,
        ),
        (
            "DELETE /permissions/sendToGroup/connections/nobody".into(),
            204,
        ),
        (
            format!("HEAD /permissions/sendToGroup/connections/{id}"),
            404,
        ),
        (
            format!("PUT /permissions/sendToGroup/connections/{id}?targetName=g"),
            200,
        ),
        (
            format!("HEAD /permissions/sendToGroup/connections/{id}?targetName=g"),
            200,
        ),
        (
            format!("HEAD /permissions/sendToGroup/connections/{id}?targetName=h"),
            404,
        ),
        (
            format!("HEAD /permissions/sendToGroup/connections/{id}"),
            404,
        ),
        (
            format!("PUT /permissions/joinLeaveGroup/connections/{id}"),
            200,
        ),
        (
            "PUT /permissions/joinLeaveGroup/connections/nobody".into(),
            404,
        ),
        (format!("PUT /permissions/other/connections/{id}"), 400),
        ("GET /groups/none/connections".into(), 200),
        ("GET /connections/x".into(), 404),
        ("POST /frobnicate".into(), 404),
        ("POST /users/u/frobnicate".into(), 404),
        ("DELETE /connections/nobody".into(), 204),
        ("POST /groups/none/:closeConnections".into(), 204),
        ("POST /users/nobody/:closeConnections".into(), 204),
        (format!("DELETE /connections/{id}?reason=r"), 204),
        (format!("HEAD /connections/{id}"), 404),
    ] {
        let answer = api.call(&target);
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        let is_success = status < 400 && !target.starts_with("GET");
        assert!(
            !is_success || answer.body.is_empty(),
            "{target}: {answer:?}"
        );
    }
    for method in ["HEAD", "GET"] {
        assert_eq!(api.0.request(method, "/api/health", &[], None).status, 200);
        let versioned = "/api/health?api-version=2024-12-01";
        assert_eq!(api.0.request(method, versioned, &[], None).status, 200);
    }
}

#[test]
fn sends_reach_whom_they_are_for() {
    let api = Api::start();
    let (mut ann, ann_id) = api.client(&json!({"sub": "ann"}));
    let (mut bob, bob_id) = api.client(&json!({"sub": "bob"}));
    for client in [&mut ann, &mut bob] {
        client.done(&json!({"type": "joinGroup", "group": "g", "ackId": 1}));
    }
    api.sends("POST /:send", "all");
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.receive(), server_text("all"));
    }
    api.sends(
        &format!("POST /:send?excluded={ann_id}&excluded=x"),
        "not ann",
    );
    assert_eq!(bob.receive(), server_text("not ann"));
    api.sends(
        &format!("POST /:send?excluded={ann_id}&excluded={bob_id}"),
        "nobody",
    );
    api.sends("POST /:send?filter=userId%20eq%20'ann'", "filtered");
    assert_eq!(ann.receive(), server_text("filtered"));
    api.sends("POST /groups/g/:send", "group");
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.receive(), group_text("g", "group"));
    }
    api.sends(
        &format!("POST /groups/g/:send?excluded={bob_id}"),
        "not bob",
    );
    assert_eq!(ann.receive(), group_text("g", "not bob"));
    api.sends("POST /groups/g/:send?filter=userId%20ne%20'ann'", "not ann");
    assert_eq!(bob.receive(), group_text("g", "not ann"));
    api.sends("POST /users/ann/:send", "user");
    assert_eq!(ann.receive(), server_text("user"));
    api.sends(
        "POST /users/ann/:send?filter='g'%20in%20groups",
        "user in g",
    );
    assert_eq!(ann.receive(), server_text("user in g"));
    api.sends(
        "POST /users/ann/:send?filter='h'%20in%20groups",
        "user in h",
    );
    api.sends(&format!("POST /connections/{bob_id}/:send"), "connection");
    assert_eq!(bob.receive(), server_text("connection"));
    for nobody in ["connections/x", "users/x", "groups/x"] {
        api.sends(&format!("POST /{nobody}/:send"), "nobody");
    }
    for client in [&mut ann, &mut bob] {
        client.settled();
    }
}

#[test]
fn the_content_type_is_the_sort_of_data() {
    let api = Api::start();
    let (mut ann, _) = api.client(&json!({}));
    for (content_type, body, data_type, data) in [
        ("text/plain", "a\u{e9}", "text", json!("a\u{e9}")),
        ("text/plain; charset=utf-8", "{}", "text", json!("{}")),
        (
            "application/json",
            r#"{"a": [1, null]}"#,
            "json",
            json!({"a": [1, null]}),
        ),
        ("Application/JSON;charset=UTF-8", "7", "json", json!(7)),
        ("application/json", "\"hi\"", "json", json!("hi")),
        (
            "application/octet-stream",
            "\0\u{1}",
            "binary",
            json!("AAE="),
        ),
    ] {
        let answer = api.post("POST /:send", content_type, Some(body));
        assert_eq!(answer.status, 202, "{content_type}: {answer:?}");
        let message = ann.receive();
        assert_eq!(
            (&message["dataType"], &message["data"]),
            (&json!(data_type), &data)
        );
    }
    for (content_type, body, status) in [
        ("application/json", "\"", 400),
        ("application/json", "{", 400),
        ("application/json", "", 400),
        ("application/xml", "<a/>", 415),
        ("", "x", 415),
    ] {
        let answer = api.post("POST /:send", content_type, Some(body));
        assert_eq!(answer.status, status, "{content_type} {body}: {answer:?}");
        let media_type = answer.header("content-type").unwrap();
        assert!(media_type.starts_with("application/json"), "{media_type}");
        let code = answer.json()["code"].as_str().unwrap().to_owned();
        assert_eq!(answer.header("x-ms-error-code"), Some(&*code));
    }
    let latin = service(
        api.0.address,
        "POST",
        "/api/hubs/default/:send",
        "text/plain",
        Some(b"\xff"),
    );
    assert_eq!(latin.status, 400);
    let longest = "x".repeat(1 << 20);
    assert_eq!(
        api.post("POST /:send", "text/plain", Some(&longest)).status,
        202
    );
    assert_eq!(ann.receive()["data"], *longest);
    let longer = longest + "x";
    assert_eq!(
        api.post("POST /:send", "text/plain", Some(&longer)).status,
        413
    );
    ann.settled();
}

#[test]
fn errors_have_the_form_that_sdks_read() {
    let api = Api::start();
    let answer = api.call("PUT /groups/g/connections/nobody");
    assert_eq!(
        answer.header("x-ms-error-code"),
        Some("Error.Connection.NotExisted")
    );
    let body = answer.json();
    assert_eq!(body["code"], "Error.Connection.NotExisted");
    assert_eq!(body["message"], "Connection `nobody` is not found.");
    assert_eq!(body["target"], "Connection");
    assert!(body["details"].is_null() && body["innererror"].is_null());
    let answer = api.call("PUT /permissions/sendToGroup/connections/nobody");
    assert_eq!(
        answer.header("x-ms-error-code"),
        Some("Info.Connection.NotExisted")
    );
    let answer = api.call("PUT /users/nobody/groups/g");
    assert_eq!(
        answer.header("x-ms-error-code"),
        Some("Error.User.NotExisted")
    );
    let answer = api.post("POST /:send?filter=userId", "text/plain", Some("x"));
    let body = answer.json();
    assert_eq!(answer.header("x-ms-error-code"), Some("Error.BadRequest"));
    assert_eq!(
        (&body["code"], &body["target"]),
        (&json!("Error.BadRequest"), &json!("Request"))
    );
}

#[test]
fn filters_and_numbers_that_are_none_are_refused_before_anything_is_sent() {
    let api = Api::start();
    let (mut ann, _) = api.client(&json!({"sub": "ann"}));
    let many = vec!["userId%20eq%20'a'"; 200].join("%20or%20");
    let deep = format!("{}true{}", "(".repeat(500), ")".repeat(500));
    for filter in [
        "userId",
        "userId%20eq",
        "eq",
        "'",
        "userId%20eq%20'a",
        "userId%20eq%20'a'%20and",
        "frobnicate(userId)",
        "length(userId%20eq%201",
        "userId%20in%20('a'",
        "name%20eq%20'a'",
        "not%20length(userId)%20gt%205",
        "userId%20gt%201",
        "1%20and%202",
        "%FF",
        "a%00",
        "userId%20eq%20''a''",
        &many,
        &deep,
    ] {
        let answer = api.post(
            &format!("POST /:send?filter={filter}"),
            "text/plain",
            Some("x"),
        );
        assert_eq!(answer.status, 400, "{filter}: {answer:?}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("Invalid syntax for '"), "{message}");
        assert!(message.ends_with("(Parameter 'filter')"), "{message}");
    }
    for query in [
        "messageTtlSeconds=301",
        "messageTtlSeconds=-1",
        "messageTtlSeconds=x",
    ] {
        let answer = api.post(&format!("POST /:send?{query}"), "text/plain", Some("x"));
        assert_eq!(answer.status, 400, "{query}");
    }
    for query in ["maxpagesize=0", "maxpagesize=201", "top=0", "top=x"] {
        api.is(&format!("GET /groups/g/connections?{query}"), 400);
    }
    ann.settled();
}

#[test]
fn groups_change_for_all_that_a_filter_means() {
    let api = Api::start();
    let (mut ann, _) = api.client(&json!({"sub": "ann"}));
    let (mut bob, _) = api.client(&json!({"sub": "bob"}));
    let change = |operation: &str, body: &Value| {
        let body = body.to_string();
        api.post(
            &format!("POST /:{operation}"),
            "application/json",
            Some(&body),
        )
        .status
    };
    let both = json!({"groups": ["g", "h"], "filter": "startswith(userId, 'a')"});
    assert_eq!(change("addToGroups", &both), 200);
    api.sends("POST /groups/g/:send", "g");
    assert_eq!(ann.receive(), group_text("g", "g"));
    let out = json!({"groups": ["g"], "filter": "'g' in groups"});
    assert_eq!(change("removeFromGroups", &out), 200);
    api.is("HEAD /groups/g", 404);
    api.is("HEAD /groups/h", 200);
    // Without a filter: everybody.
    assert_eq!(change("addToGroups", &json!({"groups": ["all"]})), 200);
    api.sends("POST /groups/all/:send", "all");
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.receive(), group_text("all", "all"));
    }
    for bad in [
        json!({"groups": []}),
        json!({"groups": [" "]}),
        json!({"groups": "g"}),
        json!({"filter": "true"}),
        json!([]),
        json!({"groups": ["g"], "filter": "userId eq"}),
    ] {
        assert_eq!(change("addToGroups", &bad), 400, "{bad}");
    }
}

#[test]
fn connections_of_a_group_come_in_pages() {
    let api = Api::start();
    let mut clients: Vec<_> = (0..7)
        .map(|n| match n {
            0 => api.client(&json!({"webpubsub.group": "a/b c"})),
            n => api.client(&json!({"webpubsub.group": "a/b c", "sub": format!("user {n}")})),
        })
        .collect();
    clients.iter_mut().for_each(|(client, _)| client.settled());
    let list = |query: &str| {
        let mut target = format!("GET /groups/a%2Fb%20c/connections?{query}");
        let mut pages = Vec::new();
        loop {
            let answer = api.call(&target);
            assert_eq!(answer.status, 200, "{answer:?}");
            let page = answer.json();
            pages.push(page["value"].as_array().unwrap().clone());
            let Some(next) = page["nextLink"].as_str() else {
                return pages;
            };
            let (_, rest) = next.split_once("/api/hubs/default").unwrap();
            assert!(
                next.starts_with("http://test/") && rest.contains("api-version="),
                "{next}"
            );
            target = format!("GET {rest}");
        }
    };
    let lengths = |query: &str| list(query).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths("maxpagesize=3"), [3, 3, 1]);
    assert_eq!(lengths("maxpagesize=7"), [7]);
    assert_eq!(lengths(""), [7]);
    assert_eq!(lengths("top=5&maxpagesize=2"), [2, 2, 1]);
    assert_eq!(lengths("top=1"), [1]);
    let mut listed: Vec<_> = list("maxpagesize=2").concat();
    let mut expected: Vec<_> = clients
        .iter()
        .enumerate()
        .map(|(n, (_, id))| match n {
            0 => json!({"connectionId": id}),
            n => json!({"connectionId": id, "userId": format!("user {n}")}),
        })
        .collect();
    let id = |member: &Value| member["connectionId"].as_str().unwrap().to_owned();
    listed.sort_by_key(id);
    expected.sort_by_key(id);
    assert_eq!(listed, expected);
}

#[test]
fn closing_takes_those_who_are_meant() {
    let api = Api::start();
    let (mut ann, ann_id) = api.client(&json!({"sub": "ann", "webpubsub.group": "g"}));
    let (mut ann_too, _) = api.client(&json!({"sub": "ann"}));
    let (mut bob, bob_id) = api.client(&json!({"sub": "bob", "webpubsub.group": "g"}));
    for client in [&mut ann, &mut ann_too, &mut bob] {
        client.settled();
    }
    let gone = |client: &mut AzureClient, reason: &str| {
        let last = client.receive();
        assert_eq!(
            (&last["event"], &last["message"]),
            (&json!("disconnected"), &json!(reason))
        );
        assert_eq!(client.closed(), 1000);
    };
    api.is(
        &format!("POST /groups/g/:closeConnections?excluded={ann_id}&reason=g"),
        204,
    );
    gone(&mut bob, "g");
    api.is(
        &format!("POST /users/ann/:closeConnections?excluded={ann_id}"),
        204,
    );
    gone(&mut ann_too, "");
    ann.settled();
    api.is("POST /:closeConnections?reason=all%20of%20you", 204);
    gone(&mut ann, "all of you");
    api.is(&format!("HEAD /connections/{bob_id}"), 404);
}

#[test]
fn tokens_are_made_for_clients() {
    let api = Api::start();
    let target = "POST /:generateToken?userId=ann%20b&role=webpubsub.sendToGroup&role=webpubsub.joinLeaveGroup\
        &group=g&group=h&minutesToExpire=5&clientType=default";
    let answer = api.call(target);
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    let path = format!("/client/hubs/default?access_token={token}");
    let mut client = AzureClient::try_open(api.0.address, &path, JSON, &[]).unwrap();
    assert_eq!(client.receive()["userId"], "ann b");
    client.done(&json!({"type": "joinGroup", "group": "x", "ackId": 1}));
    api.sends("POST /groups/h/:send", "to h");
    assert_eq!(client.receive(), group_text("h", "to h"));
    api.is("POST /:generateToken?minutesToExpire=0", 400);
    api.is("POST /:generateToken?clientType=MQTT", 400);
    api.is("POST /:generateToken?clientType=x", 400);
}

/// Whatever the roles of a connection say.
#[test]
fn a_group_that_was_revoked_stays_so_until_it_is_granted() {
    let api = Api::start();
    for roles in [
        json!(["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]),
        json!(["webpubsub.joinLeaveGroups.*", "webpubsub.sendToGroups.**"]),
    ] {
        let (mut ann, id) = api.client(&json!({"role": roles}));
        let join = |group: &str| json!({"type": "joinGroup", "group": group, "ackId": 1});
        let may = |status| {
            let target = format!("HEAD /permissions/joinLeaveGroup/connections/{id}?targetName=g");
            api.is(&target, status);
        };
        let change = |method: &str, status| {
            let target =
                format!("{method} /permissions/joinLeaveGroup/connections/{id}?targetName=g");
            api.is(&target, status);
        };
        may(200);
        change("DELETE", 204);
        may(404);
        assert_eq!(ann.fails(&join("g")), "Forbidden");
        ann.done(&json!({"type": "joinGroup", "group": "h", "ackId": 2}));
        ann.done(&json!({"type": "sendToGroup", "group": "g", "data": 1, "ackId": 3}));
        change("PUT", 200);
        may(200);
        ann.done(&json!({"type": "joinGroup", "group": "g", "ackId": 4}));
        api.is(&format!("DELETE /connections/{id}"), 204);
    }
    let (mut bob, id) = api.client(&json!({"role": ["webpubsub.joinLeaveGroups.tenant.*"]}));
    bob.done(&json!({"type": "joinGroup", "group": "tenant.a", "ackId": 1}));
    for (kind, group) in [
        ("joinGroup", "tenant.a.b"),
        ("joinGroup", "x"),
        ("sendToGroup", "tenant.a"),
    ] {
        let frame = json!({"type": kind, "group": group, "data": 1, "ackId": 2});
        assert_eq!(bob.fails(&frame), "Forbidden", "{kind} {group}");
    }
    api.is(
        &format!("PUT /permissions/sendToGroup/connections/{id}?targetName=%20"),
        400,
    );
}

#[test]
fn hubs_are_told_apart_without_their_case() {
    let api = Api::start();
    let (mut ann, id) = api.client(&json!({}));
    let target = format!("/api/hubs/Default/connections/{id}?api-version=1");
    assert_eq!(
        service(api.0.address, "HEAD", &target, "", None).status,
        200
    );
    let send = |hub: &str| {
        let target = format!("/api/hubs/{hub}/:send?api-version=1");
        service(api.0.address, "POST", &target, "text/plain", Some(b"all")).status
    };
    assert_eq!(send("DEFAULT"), 202);
    assert_eq!(ann.receive(), server_text("all"));
    let claims = json!({"aud": "http://h/client/hubs/Chat", "exp": in_secs(60)});
    let path = format!("/client/hubs/cHat?access_token={}", token(&claims));
    let mut chat = AzureClient::try_open(api.0.address, &path, JSON, &[]).unwrap();
    assert_eq!(chat.receive()["event"], "connected");
    assert_eq!(send("chaT"), 202);
    assert_eq!(chat.receive(), server_text("all"));
    ann.settled();
}

#[test]
fn a_filter_knows_the_subprotocol() {
    let api = Api::start();
    let (mut ann, _) = api.client(&json!({}));
    let (mut bob, _) = AzureClient::open(api.0.address, RELIABLE_JSON, &json!({}));
    api.sends(
        &format!("POST /:send?filter=protocol%20eq%20'{JSON}'"),
        "plain",
    );
    api.sends(
        &format!("POST /:send?filter=protocol%20eq%20'{RELIABLE_JSON}'"),
        "reliable",
    );
    assert_eq!(ann.receive(), server_text("plain"));
    assert_eq!(bob.receive()["data"], "reliable");
    ann.settled();
    bob.settled();
}

/// An answer that says it worked would be a lie.
#[test]
fn groups_that_the_app_may_not_use_are_refused() {
    let open = Rights {
        read: vec!["open/#".into()],
        ..Rights::default()
    };
    let key = format!("access_key = \"{AZURE_KEY}\"");
    let builder = Server::compose::<WebPubSub>(&key).confine("webpubsub", open);
    let api = Api(Server::start(builder));
    let (_ann, id) = api.client(&json!({"sub": "ann"}));
    for (target, body) in [
        (format!("PUT /groups/GROUP/connections/{id}"), None),
        ("PUT /users/ann/groups/GROUP".into(), None),
        (
            "POST /:addToGroups".into(),
            Some(r#"{"groups":["open/a","GROUP"]}"#),
        ),
    ] {
        for (group, status) in [("open%2Fb", 200), ("closed", 403)] {
            let target = target.replace("GROUP", group);
            let body = body.map(|body| body.replace("GROUP", &group.replace("%2F", "/")));
            let answer = api.post(&target, "application/json", body.as_deref());
            assert_eq!(answer.status, status, "{target}: {answer:?}");
            if status == 403 {
                assert_eq!(answer.header("x-ms-error-code"), Some("Error.Forbidden"));
            }
        }
    }
    api.is("HEAD /groups/closed", 404);
    let sent = api.post("POST /groups/closed/:send", "text/plain", Some("x"));
    assert_eq!(
        sent.header("x-ms-error-code"),
        Some("Error.Forbidden"),
        "{sent:?}"
    );
}

#[test]
fn names_are_told_apart_before_they_are_decoded() {
    let api = Api::start();
    let (mut ann, id) = api.client(&json!({"sub": "u/groups/g", "webpubsub.group": ":send"}));
    ann.settled();
    api.is("HEAD /groups/%3Asend", 200);
    api.is("HEAD /groups/:send", 200);
    api.sends("POST /groups/%3Asend/:send", "odd");
    assert_eq!(ann.receive(), group_text(":send", "odd"));
    api.is("HEAD /users/u%2Fgroups%2Fg", 200);
    api.is("HEAD /users/u%2fgroups%2fg", 200);
    api.is(&format!("PUT /groups/%F0%9F%98%80/connections/{id}"), 200);
    api.is("HEAD /groups/%F0%9F%98%80", 200);
    api.is("HEAD /groups/%FF", 400);
    api.is(&format!("PUT /groups/%20/connections/{id}"), 400);
    let hub = service(
        api.0.address,
        "HEAD",
        "/api/hubs/1a/groups/g?api-version=1",
        "",
        None,
    );
    assert_eq!(hub.status, 400);
    // Hubs do not meet.
    let other = format!("/api/hubs/other/connections/{id}?api-version=1");
    assert_eq!(service(api.0.address, "HEAD", &other, "", None).status, 404);
}

/// What an operator does to a connection is known where the service looks.
#[test]
fn a_connection_that_the_server_puts_onto_a_channel_is_in_the_group() {
    let api = Api::start();
    let (mut client, id) = api.client(&json!({"sub": "ann"}));
    let ann = Whom::Client(ClientId::new("ann").unwrap());
    let hall = Channel::new("hall").unwrap();
    let space = api.0.space().clone();
    api.0.block_on(space.subscribe(&ann, &hall)).unwrap();
    let list = || {
        let target = "/api/hubs/default/groups/hall/connections?api-version=2024-12-01";
        let answer = service(api.0.address, "GET", target, "", None);
        answer.json()["value"].as_array().unwrap().len()
    };
    assert_eq!(list(), 1);
    api.sends(
        "POST /groups/hall/:send?filter='hall'%20in%20groups",
        "in the hall",
    );
    let message = client.receive();
    assert_eq!(
        (&message["group"], &message["data"]),
        (&json!("hall"), &json!("in the hall"))
    );
    let seen = space.connections(&ann);
    assert!(seen[0].channels.contains(&hall), "{seen:?}");
    api.0.block_on(space.unsubscribe(&ann, &hall)).unwrap();
    assert_eq!(list(), 0);
    api.sends("POST /groups/hall/:send", "nobody hears it");
    client.settled();
    api.0
        .block_on(space.disconnect(&ann, 4321, "Go and rest"))
        .unwrap();
    let told = client.receive();
    assert_eq!(
        (&told["event"], &told["message"]),
        (&json!("disconnected"), &json!("Go and rest"))
    );
    assert_eq!(client.closed(), 1008);
    let target = format!("/api/hubs/default/connections/{id}?api-version=2024-01-01");
    eventually("the connection is gone", SOON, || {
        let found = service(api.0.address, "HEAD", &target, "", None);
        (found.status == 404).then_some(())
    });
}
