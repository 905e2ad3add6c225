//! MQTT, read as its standard has it: whatever a client may close its connection for is a fault.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use polywire_testing::SOON;

use crate::{
    fence::Fence,
    mqtt_properties::{self, Properties, is_text, take_text},
};

/// What a client that takes little says that its packets may have.
const SMALL: u32 = 400;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Three,
    Five,
    /// With a maximum packet size, topic aliases, and one message at a time.
    SmallFive,
}

pub(crate) struct Client {
    kind: Kind,
    stream: TcpStream,
    aliases: HashMap<u16, String>,
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

impl Client {
    pub(crate) fn open(at: SocketAddr, kind: Kind) -> Self {
        let stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        let aliases = HashMap::new();
        let mut client = Self {
            kind,
            stream,
            aliases,
        };
        let mut body = text("MQTT");
        body.extend([if kind == Kind::Three { 4 } else { 5 }, 2, 0, 0]);
        match kind {
            Kind::Three => {}
            Kind::Five => body.push(0),
            Kind::SmallFive => {
                body.extend([11, 0x27]);
                body.extend(SMALL.to_be_bytes());
                body.extend([0x21, 0, 1, 0x22, 0, 3]);
            }
        }
        body.extend(text(client.id()));
        client.send(0x10, &body);
        let (first, answer) = client.packet();
        assert_eq!((first, answer[1]), (0x20, 0), "{answer:?}");
        let mut body = vec![0, 1];
        if kind != Kind::Three {
            body.push(0);
        }
        body.extend(text("#"));
        body.push(1);
        client.send(0x82, &body);
        assert_eq!(client.packet().0, 0x90);
        client
    }

    fn id(&self) -> &'static str {
        match self.kind {
            Kind::Three => "MQTT 3.1.1",
            Kind::Five => "MQTT 5.0",
            Kind::SmallFive => "MQTT 5.0 that takes little",
        }
    }

    fn send(&mut self, first: u8, body: &[u8]) {
        let mut packet = vec![first, u8::try_from(body.len()).unwrap()];
        packet.extend(body);
        self.stream.write_all(&packet).unwrap();
    }

    fn packet(&mut self) -> (u8, Vec<u8>) {
        let mut first = [0];
        self.stream.read_exact(&mut first).unwrap();
        let (mut length, mut length_bytes) = (0, 0);
        loop {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            length |= usize::from(byte[0] & 0x7f) << (7 * length_bytes);
            length_bytes += 1;
            if byte[0] & 0x80 == 0 {
                break;
            }
            assert!(length_bytes < 4, "a length of five bytes");
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        if self.kind == Kind::SmallFive {
            assert!(1 + length_bytes + length <= SMALL as usize, "too long");
        }
        (first[0], body)
    }

    /// The payload of the next message, which is confirmed.
    fn message(&mut self) -> Vec<u8> {
        let (first, body) = self.packet();
        assert_eq!(first >> 4, 3, "not PUBLISH: {first:#x} {body:?}");
        let (qos, is_again) = ((first >> 1) & 3, first & 8 != 0);
        assert!(qos <= 1, "more than was asked for");
        assert!(!is_again, "it is new");
        let mut rest = &body[..];
        let topic = take_text(&mut rest);
        let id = (qos > 0).then(|| mqtt_properties::take_u16(&mut rest));
        assert_ne!(id, Some(0));
        let properties = match self.kind {
            Kind::Three => Properties::default(),
            Kind::Five | Kind::SmallFive => Properties::take(&mut rest),
        };
        self.check_topic(topic, properties.alias);
        if properties.is_utf8 {
            assert!(std::str::from_utf8(rest).is_ok(), "the payload is no text");
        }
        let payload = rest.to_vec();
        if let Some(id) = id {
            self.send(0x40, &id.to_be_bytes());
        }
        payload
    }

    fn check_topic(&mut self, topic: String, alias: Option<u16>) {
        let topic = match (topic.is_empty(), alias) {
            (true, Some(alias)) => self.aliases[&alias].clone(),
            (false, Some(alias)) => {
                assert!(self.kind == Kind::SmallFive && (1..=3).contains(&alias));
                self.aliases.insert(alias, topic.clone());
                topic
            }
            (_, None) => topic,
        };
        let is_topic = !topic.is_empty() && !topic.contains(['+', '#']) && is_text(&topic);
        assert!(is_topic, "{topic:?} is no topic");
    }
}

impl crate::Client for Client {
    fn name(&self) -> &'static str {
        self.id()
    }

    fn read_up_to(&mut self, fence: &Fence) {
        while self.message() != fence.text().as_bytes() {}
    }
}
