//! Policies as an operator configures them, through the HTTP API of Seth.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    command_line::refused,
    support::{RECOVERY, SOON, Server, ServerOptions, config_file, eventually, polywire},
};

/// Of the password `hunter2`.
pub(crate) const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$kkS+ximR7zbQ3UhfjBLYxA$r+ODeXycFf6847q68z4VsVkz+2djjuTYak6DCh8+z5Y";

const ROLES: &str = "
role.shop.write = 'news/#'
role.device = { write = 'iot/{client}', apps = 'emitter' }
";

/// The status of a publication to a channel by whoever shows this.
fn publish(server: &Server, channel: &str, query: &str, authorization: &str) -> u16 {
    let channel = channel.replace('/', "%2F");
    let target = format!("/api/channels/{channel}/?{query}");
    let headers = [("Authorization", authorization)];
    let headers = if authorization.is_empty() {
        &[][..]
    } else {
        &headers
    };
    server.request("POST", &target, headers, Some(b"{}")).status
}

/// What a command prints.
fn printed(args: &[&str], input: &str) -> String {
    let mut command = polywire();
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.strip_suffix('\n').unwrap().to_owned()
}

fn file(name: &str, text: &str) -> PathBuf {
    let name = format!("{}-{name}", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

/// A service on this machine that answers requests by their bodies.
pub(crate) fn service(
    answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut line, mut length) = (String::new(), 0);
                while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
                    let header = line.to_ascii_lowercase();
                    if let Some(value) = header.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let (status, body) = answer(&String::from_utf8(body).unwrap());
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                let _ = stream.write_all((head + &body).as_bytes());
            });
        }
    });
    address
}

#[test]
fn users_and_keys_have_the_rights_of_their_roles() {
    let server = ServerOptions::new(&[])
        .config(&format!(
            "
            auth = 'roles'
            [roles]
            {ROLES}
            users = [{{ name = 'ann', password = '{HASH}', roles = 'shop' }}]
            keys = [
                {{ id = 'shop-1', key = 'a key of the shop', roles = 'shop' }},
                {{ id = 'd-1', key = 'a key of a device', client = 'd1', roles = 'device' }},
            ]
            "
        ))
        .start();
    let basic = |user: &str| format!("Basic {}", BASE64_STANDARD.encode(user));
    for (authorization, query, status) in [
        ("", "", 401),
        ("Bearer a key of the shop", "", 200),
        ("Bearer a key of the shop", "token=x", 200),
        ("", "token=a%20key%20of%20the%20shop", 200),
        ("", "token=ann:hunter2", 200),
        (&basic("ann:hunter2"), "", 200),
        (&basic("ann:hunter3"), "", 401),
        (&basic("bob:hunter2"), "", 401),
        (&basic(&format!("ann:{HASH}")), "", 401),
        ("Bearer a key of the shops", "", 401),
        (
            "Bearer a key of the shops",
            "token=a%20key%20of%20the%20shop",
            401,
        ),
        // Its role counts for MQTT only.
        ("Bearer a key of a device", "", 403),
    ] {
        assert_eq!(
            publish(&server, "news/a", query, authorization),
            status,
            "{authorization} {query}"
        );
    }
    let key = "Bearer a key of the shop";
    assert_eq!(publish(&server, "old", "", key), 403);
    assert_eq!(
        publish(&server, "news", "", key),
        200,
        "`#` is the level itself too"
    );
    let hash = printed(&["hash-password"], "correct horse\n");
    assert!(hash.starts_with("$argon2id$"), "{hash}");
}

/// The answer to a CONNECT of MQTT 3.1.1: 0 lets in.
fn connect(server: &Server, user: &str, password: &str) -> u8 {
    let text = |text: &str| {
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        [&length[..], text.as_bytes()].concat()
    };
    // Version 4; user, password, clean session; 60 s.
    let head = [text("MQTT"), vec![4, 0b1100_0010, 0, 60]].concat();
    let body = [head, text("a-client"), text(user), text(password)].concat();
    let packet = [&[0x10, u8::try_from(body.len()).unwrap()], &body[..]].concat();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(&packet).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer[..3], [0x20, 2, 0]);
    answer[3]
}

#[test]
fn a_user_of_mqtt_shows_name_and_password() {
    let server = ServerOptions::new(&[])
        .config(&format!(
            "
            auth = 'roles'
            apps.emitter.authenticate = true
            [roles]
            {ROLES}
            users = [{{ name = 'ann', password = '{HASH}', roles = 'shop' }}]
            keys = [{{ id = 'd-1', key = 'a key of a device', client = 'd1', roles = 'device' }}]
            "
        ))
        .start();
    assert_eq!(connect(&server, "ann", "hunter2"), 0);
    assert_eq!(connect(&server, "whoever", "a key of a device"), 0);
    for (user, password) in [
        ("ann", "hunter3"),
        ("bob", "hunter2"),
        ("bob", "ann:hunter2"),
    ] {
        assert_ne!(connect(&server, user, password), 0, "{user} {password}");
    }
}

#[test]
fn a_file_of_roles_is_read_again_when_it_changes() {
    let roles =
        |key: &str| format!("{ROLES}\nkeys = [{{ id = 'a', key = '{key}', roles = 'shop' }}]\n");
    let path = file("roles.toml", &roles("the key of before"));
    let server = ServerOptions::new(&[])
        .config(&format!("auth = 'roles'\nroles.file = {path:?}"))
        .start();
    let (before, after) = ("Bearer the key of before", "Bearer the key of afterwards");
    assert_eq!(publish(&server, "news/a", "", before), 200);
    fs::write(&path, "keys = [").unwrap();
    eventually("the broken file is noticed", RECOVERY, || {
        assert_eq!(publish(&server, "news/a", "", before), 200);
        server
            .process
            .stderr()
            .contains("stay as they were")
            .then_some(())
    });
    fs::write(&path, roles("the key of afterwards")).unwrap();
    eventually("the new file is read", RECOVERY, || {
        (publish(&server, "news/a", "", before) == 401).then_some(())
    });
    assert_eq!(publish(&server, "news/a", "", after), 200);
    fs::remove_file(path).unwrap();
}

#[test]
fn a_token_says_who_it_is_and_what_they_may_do() {
    let config = format!(
        "
        auth = ['api-key', 'jwt']
        api_key.rights.write = 'news/#'
        jwt.leeway_secs = 0
        jwt.audience = 'us'
        [[jwt.keys]]
        algorithm = 'HS256'
        secret = 'thirty-two bytes or more, at random'
        [roles]
        {ROLES}
        "
    );
    let server = ServerOptions::new(&[]).config(&config).start();
    let path = config_file(&config);
    let path = path.to_str().unwrap();
    let token = |args: &[&str]| {
        let args = [&["token", "--config", path], args].concat();
        format!("Bearer {}", printed(&args, ""))
    };
    let own = token(&["--client", "ann", "--write", "chat/{client}", "--read", "#"]);
    assert_eq!(publish(&server, "chat/ann", "", &own), 200);
    assert_eq!(publish(&server, "chat/bob", "", &own), 403);
    let in_query = format!("token={}", own.strip_prefix("Bearer ").unwrap());
    assert_eq!(publish(&server, "chat/ann", &in_query, ""), 200);
    assert_eq!(
        publish(&server, "news/a", "", &token(&["--role", "shop"])),
        200
    );
    assert_eq!(
        publish(
            &server,
            "news/a",
            "",
            &token(&["--role", "device", "--client", "d1"])
        ),
        403
    );
    assert_eq!(publish(&server, "news/a", "", &token(&[])), 403);
    // The other policy of the list.
    assert_eq!(publish(&server, "news/a", "api_key=secret", ""), 200);
    assert_eq!(publish(&server, "chat/ann", "api_key=secret", ""), 403);
    let short = token(&["--write", "#", "--expires", "2s"]);
    assert_eq!(publish(&server, "a", "", &short), 200);
    eventually("the token has ended", RECOVERY, || {
        (publish(&server, "a", "", &short) == 401).then_some(())
    });

    let parts: Vec<_> = own.split('.').collect();
    let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    for forged in [
        format!("Bearer {none}.{}.", parts[1]),
        format!("Bearer {none}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{own}A"),
        format!("Bearer {}", "x".repeat(9000)),
        "Bearer x".into(),
    ] {
        assert_eq!(publish(&server, "chat/ann", "", &forged), 401, "{forged}");
    }
    let said = refused(&["token", "--config", path, "--expires", "0"], &[]);
    assert!(said.contains("never ends"), "{said}");
    let said = refused(&["token", "--read", "a"], &[]);
    assert!(said.contains("[[jwt.keys]]"), "{said}");
    let said = refused(&["token", "--config", path, "--read", "a*"], &[]);
    assert!(said.contains("a/#"), "{said}");
    fs::remove_file(path).unwrap();
}

#[test]
fn keys_at_an_address_change_and_are_away() {
    let pair = |name: &str| {
        let pair = rcgen::KeyPair::generate().unwrap();
        let path = file(name, &pair.serialize_pem());
        let config = format!(
            "
            [[jwt.keys]]
            kid = '{name}'
            algorithm = 'ES256'
            public_key = '''{}'''
            private_key_file = {path:?}
            ",
            pair.public_key_pem()
        );
        let config = config_file(&config);
        let args = [
            "token",
            "--write",
            "#",
            "--config",
            config.to_str().unwrap(),
        ];
        let token = format!("Bearer {}", printed(&args, ""));
        for path in [path, config] {
            fs::remove_file(path).unwrap();
        }
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = pair.public_key_raw()[1..].split_at(32);
        let jwk =
            json!({ "kty": "EC", "crv": "P-256", "kid": name, "x": encode(x), "y": encode(y) });
        (jwk, token)
    };
    let ((old, old_token), (new, new_token)) = (pair("old"), pair("new"));
    let answer = Arc::new(Mutex::new((200, json!({ "keys": [old] }))));
    let address = service({
        let answer = answer.clone();
        move |_| {
            let (status, body) = &*answer.lock().unwrap();
            (*status, body.to_string())
        }
    });
    let config = format!(
        "
        auth = 'jwt'
        [jwt]
        jwks = 'http://{address}/keys'
        jwks_retry_secs = 0
        jwks_refresh_secs = 1
        jwks_outage_secs = 3
        "
    );
    let server = ServerOptions::new(&[]).config(&config).start();
    assert_eq!(publish(&server, "a", "", &old_token), 200);
    assert_eq!(publish(&server, "a", "", &new_token), 401);
    answer.lock().unwrap().1 = json!({ "keys": [new] });
    assert_eq!(publish(&server, "a", "", &new_token), 200);
    assert_eq!(publish(&server, "a", "", &old_token), 401);
    answer.lock().unwrap().0 = 500;
    assert_eq!(publish(&server, "a", "", &new_token), 200, "for a while");
    eventually("the keys are too old", RECOVERY, || {
        (publish(&server, "a", "", &new_token) == 503).then_some(())
    });
    answer.lock().unwrap().0 = 200;
    assert_eq!(publish(&server, "a", "", &new_token), 200);
}

#[test]
fn a_service_says_who_somebody_is() {
    let address = service(|body| {
        let asked: Value = serde_json::from_str(body).unwrap();
        assert_eq!(asked["app"], "seth");
        match asked["token"].as_str().unwrap() {
            "good" => (
                200,
                json!({ "client": "ann", "rights": { "write": "chat/{client}" } }).to_string(),
            ),
            "role" => (200, json!({ "roles": ["shop"] }).to_string()),
            "broken" => (500, String::new()),
            _ => (401, String::new()),
        }
    });
    let config = format!("auth = 'http'\nhttp.url = 'http://{address}/ask'\n[roles]\n{ROLES}");
    let server = ServerOptions::new(&[]).config(&config).start();
    for (token, channel, status) in [
        ("good", "chat/ann", 200),
        ("good", "chat/bob", 403),
        ("role", "news/a", 200),
        ("role", "chat/ann", 403),
        ("bad", "chat/ann", 401),
        ("broken", "chat/ann", 503),
    ] {
        let bearer = format!("Bearer {token}");
        assert_eq!(
            publish(&server, channel, "", &bearer),
            status,
            "{token} {channel}"
        );
    }
    assert_eq!(publish(&server, "chat/ann", "", ""), 401);
}

#[test]
fn what_would_not_protect_is_refused() {
    for (config, said) in [
        ("auth = 'jwt'", "jwt.keys"),
        ("auth = 'roles'", "roles.users"),
        ("auth = 'http'", "http.url"),
        ("auth = []", "auth: name one policy"),
        ("auth = ['jwt', 'nope']", "auth: use echo"),
        (
            "[[jwt.keys]]\nalgorithm = 'HS256'\nsecret = 'short'",
            "can be guessed",
        ),
        (
            "roles.role.a = { read = '#', apps = 'mqtt' }",
            "roles.role.a.apps",
        ),
        (
            "host = '0.0.0.0'\napp = 'seth'\nauth = 'jwt'\njwt.jwks = 'http://keys.example.org/'",
            "use https://",
        ),
        (
            "host = '0.0.0.0'\napp = 'seth'\nauth = 'http'\nhttp.url = 'http://auth.example.org/'",
            "use https://",
        ),
    ] {
        let path = config_file(config);
        let text = refused(
            &["serve", "--port", "0", "--config", path.to_str().unwrap()],
            &[],
        );
        assert!(text.contains(said), "{config}: {text}");
        fs::remove_file(path).unwrap();
    }
}
