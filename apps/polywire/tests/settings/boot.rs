//! The greeting of each app at the start, and why it does not start where others can reach it.

use std::fmt::Write;

use figment::Jail;
use polywire::{apps::AppName, compose};

use crate::attempt::Attempt;

/// Secrets that are not made up, so that lines are the same in each run.
const SECRETS: &str = "[apps.emitter]\nmaster_key = \"a-long-random-text\"\n[apps.webpubsub]\naccess_key = \"another\"\n";

pub(crate) fn write(jail: &mut Jail, text: &mut String) {
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    jail.create_file("cert.pem", &certificate.cert.pem())
        .unwrap();
    jail.create_file("key.pem", &certificate.signing_key.serialize_pem())
        .unwrap();
    *text += "\n# Starts\n";
    let tls = [
        "--tls-certificate=cert.pem",
        "--tls-key=key.pem",
        "--tls-only",
    ];
    for app in AppName::ALL {
        let alone = Attempt::file(SECRETS)
            .flag("--port=0")
            .flag(&format!("--app={app}"));
        let encrypted = tls
            .iter()
            .fold(alone.clone(), |attempt, flag| attempt.flag(flag));
        writeln!(text, "\n[{app}]\n{}", greeting(&alone, jail)).unwrap();
        writeln!(text, "\n[{app}, TLS only]\n{}", greeting(&encrypted, jail)).unwrap();
        let public = alone.flag("--host=0.0.0.0");
        writeln!(text, "\n[{app}, public]\n{}", public.says(jail)).unwrap();
    }
    let all = Attempt::file(SECRETS).flag("--port=0");
    writeln!(text, "\n[all]\n{}", greeting(&all, jail)).unwrap();
    let own_keys = "[[apps.pubnub.key_sets]]\npublish_key = \"pub-a\"\nsubscribe_key = \"sub-a\"\n";
    let own_keys = Attempt::file(own_keys)
        .flag("--port=0")
        .flag("--app=pubnub");
    writeln!(text, "\n[key sets]\n{}", greeting(&own_keys, jail)).unwrap();
    for face in ["emitter", "plain"] {
        let face = Attempt::file(SECRETS)
            .variable("POLYWIRE_APPS__EMITTER__FACE", face)
            .variable("POLYWIRE_APPS__EMITTER__PLAIN_LISTEN", "127.0.0.1:0")
            .flag("--port=0")
            .flag("--app=emitter");
        writeln!(text, "\n[face]\n{}", greeting(&face, jail)).unwrap();
    }
    for policy in ["api-key", "header"] {
        let public = Attempt::default()
            .flag("--port=0")
            .flag("--host=0.0.0.0")
            .flag(&format!("--auth={policy}"));
        writeln!(text, "\n[{policy}, public]\n{}", public.says(jail)).unwrap();
    }
}

/// The lines at the start, with the same port in each run.
fn greeting(attempt: &Attempt, jail: &mut Jail) -> String {
    let config = attempt.load(jail).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = compose::builder(&config).unwrap().build().await.unwrap();
        let mut text = String::new();
        for listening in server.addresses() {
            writeln!(text, "listening on {listening}").unwrap();
        }
        for line in server.banner() {
            writeln!(text, "{line}").unwrap();
        }
        for (number, listening) in server.addresses().enumerate() {
            let port = listening.address.port().to_string();
            text = text.replace(&port, &format!("PORT{number}"));
        }
        text
    })
}
