//! What other protocols publish and MQTT cannot carry reaches no client, is counted, and ends no connection.

use polywire_core::{
    AppRunner, Channel, Draft, Identity, JsonText, Origin, Payload,
    testkit::{AllowAll, LocalBackend},
};
use polywire_emitter::Emitter;

use crate::{
    client::{Client, Lasting, message},
    start,
};

#[tokio::test]
async fn what_mqtt_cannot_carry_ends_nothing() {
    let builder = AppRunner::builder(LocalBackend::default())
        .authentication(AllowAll)
        .app(Emitter::default());
    let (server, space) = start(builder).await;
    let (mut client, _) = Client::connect(server, "c", Lasting::Yes).await;
    client.subscribe("#", 1).await;
    let origin = Origin::new("test", Identity::unrestricted());
    let publish = async |channel: &str, properties: &str| {
        let properties = JsonText::parse(properties.to_owned().into()).unwrap();
        let channel = Channel::new(channel).unwrap();
        let draft = Draft::new(channel, Payload::text("x")).properties(properties);
        space.publish(&origin, draft).await.unwrap();
    };
    let names = ["a\0", "a/#", "a+", "a\n", "\u{7f}", "\u{85}", "\u{ffff}"];
    for name in names {
        publish(name, "{\"qos\":1}").await;
    }
    publish("good", "{\"qos\":1,\"response_topic\":\"a\\u0000b\"}").await;
    let (first, body) = client.packet().await;
    assert_eq!((first, message(&body).0.as_str()), (0x32, "good"));
    let counters = space.runtime().counters();
    let counter = counters.of("emitter", "message that the client cannot take");
    assert_eq!(counter.count(), names.len() as u64);
    client.ping().await;
}

#[tokio::test]
async fn what_mqtt_cannot_carry_is_not_taken_either() {
    let builder = AppRunner::builder(LocalBackend::default())
        .authentication(AllowAll)
        .app(Emitter::default());
    let (server, _) = start(builder).await;
    for topic in ["", "a\0", "a/#", "a\n", "\u{7f}", "\u{fdd0}"] {
        let (mut client, _) = Client::connect(server, "c", Lasting::No).await;
        client.publish(1, false, 1, topic, "x").await;
        client.closed().await;
    }
}
