//! The history API, followed.

use std::{convert::Infallible, io};

use serde_json::Value;

use super::{Subscribe, Watch, socket};
use crate::peers::HttpConnection;

/// Follows one channel, and goes on behind what it had when the answer ends.
#[derive(Debug, Default)]
pub(super) struct Follower {
    /// The timetoken from which it follows.
    since: Option<u64>,
    epoch: Option<String>,
}

impl Subscribe for Follower {
    fn listen(&mut self, watch: &Watch) -> io::Result<Infallible> {
        let Err(error) = self.read(watch);
        if self.since.is_none() {
            // It has nothing yet to go on behind.
            watch.gap(&error.to_string());
        }
        Err(error)
    }

    fn keeps(&self) -> bool {
        true
    }
}

impl Follower {
    fn read(&mut self, watch: &Watch) -> io::Result<Infallible> {
        let mut connection = HttpConnection::over(watch.connect()?);
        let from = match self.since {
            None => "last=0".to_owned(),
            Some(since) => format!("since={since}"),
        };
        let channel = &watch.channels[0];
        let target = format!("/history/v1/channels/{channel}?{from}&follow=true");
        connection.write(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes())?;
        let head = connection.try_head()?;
        if head.status != 200 {
            return Err(io::Error::other(format!("status {}", head.status)));
        }
        watch.joined();
        let mut unread = Vec::new();
        loop {
            let chunk = connection.try_chunk()?;
            if chunk.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            unread.extend(chunk);
            while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = unread.drain(..=end).collect();
                self.take(&serde_json::from_slice(&line)?, watch)?;
            }
        }
    }

    fn take(&mut self, line: &Value, watch: &Watch) -> io::Result<()> {
        if !line["error"].is_null() {
            return Err(io::Error::other(line["error"].to_string()));
        }
        let timetoken = line["timetoken"]
            .as_str()
            .and_then(|time| time.parse().ok());
        let (Some(timetoken), Some(epoch)) = (timetoken, line["epoch"].as_str()) else {
            return Err(socket::nonsense(line));
        };
        self.since = Some(u64::saturating_add(timetoken, 1));
        let before = self.epoch.replace(epoch.to_owned());
        if before.is_some_and(|before| before != epoch) {
            watch.gap("a new epoch");
            watch.joined();
        }
        let channel = line["channel"].as_str().unwrap_or_default();
        watch.seen(channel, line["data"].to_string(), false);
        Ok(())
    }
}
