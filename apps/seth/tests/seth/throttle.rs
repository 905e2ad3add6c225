//! Whoever tries credentials out is slowed down.

use crate::http::guarded_server;

#[test]
fn who_guesses_has_to_wait_and_who_is_known_has_not() {
    let server = guarded_server();
    let post = |key: &str| {
        let target = format!("/api/channels/news/?api_key={key}");
        server.post(&target, "{}").status
    };
    assert_eq!(post("secret"), 200);
    for guess in 0..10 {
        assert_eq!(post(&format!("guess-{guess}")), 401);
    }
    assert_eq!(post("another"), 429);
    assert_eq!(server.get("/debug/?api_key=another").status, 429);
    assert_eq!(post("guess-0"), 401, "it was judged before");
    assert_eq!(post("secret"), 200, "from the same address");
}
