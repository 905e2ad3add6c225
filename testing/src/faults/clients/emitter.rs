//! Emitter: topics with a key before them and a slash behind.

use std::{convert::Infallible, io, net::SocketAddr};

use super::{
    Access, Subscribe, Watch,
    mqtt::{Connection, Publisher},
};

#[derive(Debug)]
pub(super) struct Subscriber {
    key: String,
}

impl Subscriber {
    pub(super) fn new(key: &str) -> Self {
        Self {
            key: key.to_owned(),
        }
    }

    fn read(&self, watch: &Watch) -> io::Result<Infallible> {
        let (mut connection, _) = Connection::open(watch.connect()?, &watch.name(), true)?;
        let topics = watch.channels.iter();
        connection.subscribe(topics.map(|channel| format!("{}/{channel}/", self.key)), 0)?;
        loop {
            match connection.message()? {
                None => watch.joined(),
                Some((topic, payload)) => {
                    watch.seen(topic.trim_end_matches('/'), payload, false);
                }
            }
        }
    }
}

impl Subscribe for Subscriber {
    fn listen(&mut self, watch: &Watch) -> io::Result<Infallible> {
        self.read(watch)
    }
}

/// A publisher. Where the server keeps messages its messages are stored, so that those who come back get them.
pub(super) fn publisher(at: SocketAddr, node: usize, access: &Access) -> Publisher {
    let behind = if access.keeps { "/?ttl=600" } else { "/" };
    let id = format!("emitter-publisher-{node}");
    Publisher::around(at, &id, [&format!("{}/", access.emitter_key), behind])
}
