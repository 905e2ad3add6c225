//! SockJS: addresses, methods and headers.

mod harness;

use harness::{Answer, HttpClient, TestServer};

const NO_CACHE: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";

fn get(server: &TestServer, path: &str) -> Answer {
    HttpClient::once(server.address, &format!("GET {path}"), "")
}

#[track_caller]
fn expect_no_cache(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), Some(NO_CACHE));
    assert_eq!(answer.header("expires"), None);
    assert_eq!(answer.header("last-modified"), None);
}

#[track_caller]
fn expect_cacheable(answer: &Answer) {
    assert_eq!(
        answer.header("cache-control"),
        Some("public, max-age=31536000")
    );
    assert!(
        answer
            .header("expires")
            .is_some_and(|date| date.ends_with(" GMT"))
    );
    assert_eq!(answer.header("last-modified"), None);
}

#[test]
fn greeting() {
    let server = TestServer::start();
    for path in ["/echo", "/echo/", "/cookie"] {
        let answer = get(&server, path);
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=UTF-8")
        );
        assert_eq!(answer.body, "Welcome to SockJS!\n");
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[test]
fn unknown_addresses_are_not_found() {
    let server = TestServer::start();
    for path in [
        "/echo//",
        "/echo///",
        "/echo/a",
        "/echo/a.html",
        "/echo/a/a",
        "/echo/a/a/",
        "/echo/a/",
        "//echo",
        "/echo/a./a/xhr",
        "/echo/a/a./xhr",
        "/echo/./a/xhr",
        "/echo//xhr",
        "/echo///xhr",
        "/echo//a/xhr",
        "/echo/a//xhr",
        "/echo/a/a/xhr/x",
        "/echo/IFRAME.HTML",
        "/echo/iframe.htm",
        "/echo/iframe",
        "/echo/IFRAME",
        "/echo/iframe-/.html",
        "/echox",
        "/nowhere",
        "/no_websocket/websocket",
        "/no_websocket/0/0/websocket",
    ] {
        for method in ["GET", "POST"] {
            let answer = HttpClient::once(server.address, &format!("{method} {path}"), "");
            assert_eq!(answer.status, 404, "{method} {path}");
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
}

#[test]
fn a_wrong_method_is_405_with_allow_and_nothing_else() {
    let server = TestServer::start();
    for (method, path, allow) in [
        ("POST", "/echo", "GET"),
        ("POST", "/echo/info", "OPTIONS, GET"),
        ("PUT", "/echo/iframe.html", "GET"),
        ("POST", "/echo/websocket", "GET"),
        ("POST", "/echo/0/0/websocket", "GET"),
        ("GET", "/echo/0/0/xhr", "OPTIONS, POST"),
        ("PUT", "/echo/0/0/xhr", "OPTIONS, POST"),
        ("GET", "/echo/0/0/xhr_streaming", "OPTIONS, POST"),
        ("GET", "/echo/0/0/xhr_send", "OPTIONS, POST"),
        ("POST", "/echo/0/0/eventsource", "GET"),
        ("POST", "/echo/0/0/htmlfile", "GET"),
        ("POST", "/echo/0/0/jsonp", "GET"),
        ("GET", "/echo/0/0/jsonp_send", "POST"),
    ] {
        let answer = HttpClient::once(server.address, &format!("{method} {path}"), "");
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        assert_eq!(answer.header("content-type"), None);
        assert_eq!(answer.body, "");
    }
}

#[test]
fn info() {
    let server = TestServer::start();
    let entropy = |path: &str, websocket: bool, cookie: bool| {
        let answer = get(&server, path);
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("content-type"),
            Some("application/json; charset=UTF-8")
        );
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(answer.header("vary"), Some("Origin"));
        expect_no_cache(&answer);
        let info: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(info["websocket"], websocket);
        assert_eq!(info["origins"], serde_json::json!(["*:*"]));
        assert_eq!(info["cookie_needed"], cookie);
        info["entropy"].as_u64().expect("a number")
    };
    assert_ne!(
        entropy("/echo/info", true, false),
        entropy("/echo/info", true, false)
    );
    entropy("/no_websocket/info", false, false);
    entropy("/cookie/info", true, true);
}

#[test]
fn preflight() {
    let server = TestServer::start();
    for (path, methods) in [
        ("/echo/info", "OPTIONS, GET"),
        ("/echo/a/b/xhr", "OPTIONS, POST"),
        ("/echo/a/b/xhr_streaming", "OPTIONS, POST"),
        ("/echo/a/b/xhr_send", "OPTIONS, POST"),
    ] {
        for origin in ["test", "null"] {
            let head =
                format!("OPTIONS {path}\nOrigin: {origin}\nAccess-Control-Request-Headers: a, b");
            let answer = HttpClient::once(server.address, &head, "");
            assert_eq!((answer.status, &*answer.body), (204, ""));
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            assert_eq!(
                answer.header("access-control-allow-credentials"),
                Some("true")
            );
            assert_eq!(answer.header("access-control-allow-headers"), Some("a, b"));
            assert_eq!(answer.header("access-control-allow-methods"), Some(methods));
            assert_eq!(answer.header("access-control-max-age"), Some("31536000"));
            assert_eq!(answer.header("vary"), Some("Origin"));
            expect_cacheable(&answer);
        }
        let head = format!("OPTIONS {path}\nAccess-Control-Request-Headers:");
        let answer = HttpClient::once(server.address, &head, "");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-headers"), None);
    }
}

#[test]
fn iframe() {
    let server = TestServer::start();
    let page = get(&server, "/cookie/iframe.html");
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=UTF-8")
    );
    assert_eq!(page.header("set-cookie"), None);
    expect_cacheable(&page);
    assert!(
        page.body
            .starts_with("<!DOCTYPE html>\n<html>\n<head>\n  <meta http-equiv=\"X-UA-Compatible\"")
    );
    assert!(
        page.body
            .contains("\n  <script src=\"/cookie/sockjs-1.6.1.min.js\" integrity=\"sha384-")
    );
    let script = get(&server, "/cookie/sockjs-1.6.1.min.js");
    assert_eq!(
        script.header("content-type"),
        Some("text/javascript; charset=UTF-8")
    );
    assert!(script.body.starts_with("/* sockjs-client v1.6.1 "));
    expect_cacheable(&script);
    assert!(page.body.ends_with("</body>\n</html>"), "{}", page.body);
    let etag = page.header("etag").expect("an ETag");
    for path in [
        "iframe-a.html",
        "iframe-.html",
        "iframe-0.1.2abc-dirty.2144.html?t=1",
    ] {
        let other = get(&server, &format!("/cookie/{path}"));
        assert_eq!((other.status, &other.body), (200, &page.body));
        assert_eq!(other.header("etag"), Some(etag));
        let head = format!("GET /cookie/{path}\nIf-None-Match: {etag}");
        let known = HttpClient::once(server.address, &head, "");
        assert_eq!((known.status, &*known.body), (304, ""));
        assert_eq!(known.header("content-type"), None);
    }
}

#[test]
fn websocket_addresses_refuse_what_is_no_handshake() {
    let server = TestServer::start();
    for path in ["/echo/websocket", "/echo/0/0/websocket"] {
        for headers in [
            "",
            "Upgrade: WebSocket\nConnection: close",
            "Connection: Upgrade",
        ] {
            let answer = HttpClient::once(server.address, &format!("GET {path}\n{headers}"), "");
            assert_eq!(answer.status, 400);
            assert!(answer.body.contains("Not a valid websocket request"));
        }
        let old = "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 8\nSec-WebSocket-Key: x";
        assert_eq!(
            HttpClient::once(server.address, &format!("GET {path}\n{old}"), "").status,
            426
        );
    }
}

#[test]
fn the_cookie_comes_back_on_session_addresses() {
    let server = TestServer::start();
    for (cookies, value) in [
        ("", "dummy"),
        ("Cookie: JSESSIONID=abc", "abc"),
        ("Cookie: a=b; JSESSIONID=x y ; c=d", "x y"),
        ("Cookie: XJSESSIONID=no", "dummy"),
    ] {
        let expected = format!("JSESSIONID={value}; path=/");
        for request in [
            "POST /cookie/0/ID/xhr",
            "OPTIONS /cookie/0/ID/xhr",
            "OPTIONS /cookie/0/ID/xhr_send",
            "GET /cookie/0/ID/jsonp?c=x",
        ] {
            // A new session for each, because a poll of an old one waits.
            let request = request.replace("ID", &rand::random::<u64>().to_string());
            let answer = HttpClient::once(server.address, &format!("{request}\n{cookies}"), "");
            assert_eq!(answer.header("set-cookie"), Some(&*expected), "{request}");
        }
        for request in [
            "GET /cookie/0/ID/eventsource",
            "POST /cookie/0/ID/xhr_streaming",
            "GET /cookie/0/ID/htmlfile?c=x",
        ] {
            let request = request.replace("ID", &rand::random::<u64>().to_string());
            let mut client = HttpClient::connect(server.address);
            client.request(&format!("{request}\n{cookies}"), "");
            assert_eq!(
                client.head().header("set-cookie"),
                Some(&*expected),
                "{request}"
            );
        }
        for send in ["xhr_send", "jsonp_send"] {
            let session = format!("/cookie/0/{}", rand::random::<u64>());
            HttpClient::once(server.address, &format!("POST {session}/xhr"), "");
            let request = format!("POST {session}/{send}\n{cookies}");
            let answer = HttpClient::once(server.address, &request, "[]");
            assert_eq!(answer.header("set-cookie"), Some(&*expected));
        }
    }
    let answer = HttpClient::once(
        server.address,
        "POST /echo/0/0/xhr\nCookie: JSESSIONID=abc",
        "",
    );
    assert_eq!(
        answer.header("set-cookie"),
        None,
        "only where it is asked for"
    );
}

#[test]
fn a_page_of_another_site_is_refused() {
    let server = TestServer::start();
    let host = server.address;
    for origin in ["https://evil.example", "http://evil.example:8080"] {
        for request in [
            "GET /echo/info",
            "OPTIONS /echo/info",
            "POST /echo/0/a/xhr",
            "OPTIONS /echo/0/a/xhr_send",
            "POST /echo/0/a/xhr_send",
            "POST /echo/0/a/jsonp_send",
            "GET /echo/0/a/eventsource",
            "GET /echo/0/a/jsonp?c=x",
            "GET /echo/websocket\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n\
             Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
        ] {
            let head = format!("{request}\nOrigin: {origin}");
            let answer = HttpClient::once(host, &head, "");
            assert_eq!(answer.status, 403, "{request}");
            assert!(
                answer.body.contains("apps.test.allowed_origins"),
                "{}",
                answer.body
            );
            assert!(answer.body.contains(origin), "{}", answer.body);
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    // A development server on this machine.
    let head = "POST /echo/0/b/xhr\nOrigin: http://localhost:5173";
    let answer = HttpClient::once(host, head, "");
    assert_eq!((answer.status, &*answer.body), (200, "o\n"));
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed, Some("http://localhost:5173"));
    let credentials = answer.header("access-control-allow-credentials");
    assert_eq!(credentials, Some("true"));
}

#[test]
fn streams_are_not_collected_by_proxies() {
    let server = TestServer::start();
    for request in [
        "POST /echo/0/x/xhr_streaming",
        "GET /echo/0/y/eventsource",
        "GET /echo/0/z/htmlfile?c=x",
    ] {
        let mut client = HttpClient::connect(server.address);
        client.request(request, "");
        let head = client.head();
        assert_eq!(head.header("x-accel-buffering"), Some("no"), "{request}");
        assert_eq!(head.header("cache-control"), Some(NO_CACHE), "{request}");
    }
}
