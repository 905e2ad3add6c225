//! `polywire pub`.

use std::{
    io::{self, BufRead, BufReader},
    process::ExitCode,
    sync::mpsc::{RecvTimeoutError, channel},
};

use polywire::cli::PublishFlags;
use serde_json::{Value, value::RawValue};

use crate::{
    client::{ClientError, HttpClient, LineClient, one_line},
    exit,
};

pub(crate) fn publish(flags: &PublishFlags) -> ExitCode {
    // What is wrong with the argument is said before anybody is asked.
    let message = match flags.message.as_deref().filter(|text| *text != "-") {
        Some(text) => match encode(text, flags.json, || format!("the message {text:?}")) {
            Ok(message) => Some(message),
            Err(error) => return exit::refused(&error),
        },
        None => None,
    };
    match run(flags, message) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::failed(&error),
    }
}

fn run(flags: &PublishFlags, message: Option<String>) -> Result<(), ClientError> {
    let client = if flags.header.is_empty() && flags.query.is_none() {
        Client::Lines(LineClient::connect(&flags.server, flags.token.as_deref())?)
    } else {
        Client::Http(Box::new(HttpClient::new(
            &flags.server,
            &flags.header,
            &["api", "channels", &flags.channel, ""],
            flags.query.as_deref(),
            "the message",
        )?))
    };
    let mut publisher = Publisher {
        flags,
        client,
        is_first: true,
    };
    match message {
        Some(message) => publisher.publish(&message)?,
        None => publisher.publish_lines()?,
    }
    match publisher.client {
        Client::Lines(client) => client.confirm(),
        Client::Http(_) => Ok(()),
    }
}

/// How the server is spoken to.
enum Client {
    Lines(LineClient),
    /// Each message is answered.
    Http(Box<HttpClient>),
}

impl Client {
    fn publish(&mut self, channel: &str, message: &str) -> Result<(), ClientError> {
        match self {
            Self::Lines(client) => client.publish(channel, message),
            Self::Http(client) => client.post(message),
        }
    }

    fn flush(&mut self) -> Result<(), ClientError> {
        match self {
            Self::Lines(client) => client.flush(),
            Self::Http(_) => Ok(()),
        }
    }
}

struct Publisher<'f> {
    flags: &'f PublishFlags,
    client: Client,
    is_first: bool,
}

impl Publisher<'_> {
    /// Publishes a message as often as was asked for.
    fn publish(&mut self, message: &str) -> Result<(), ClientError> {
        for _ in 0..self.flags.count {
            if !self.is_first {
                self.pause()?;
            }
            self.is_first = false;
            self.client.publish(&self.flags.channel, message)?;
        }
        Ok(())
    }

    fn pause(&mut self) -> Result<(), ClientError> {
        let Some(interval) = self.flags.interval else {
            return Ok(());
        };
        self.client.flush()?;
        // Nobody sends on it: a wait that is only a wait.
        let (_sender, receiver) = channel::<()>();
        match receiver.recv_timeout(interval) {
            Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(()),
        }
    }

    fn publish_lines(&mut self) -> Result<(), ClientError> {
        let mut input = BufReader::new(io::stdin().lock());
        let mut line = Vec::new();
        for number in 1_u64.. {
            // What comes slowly is published as it comes, what is there already together.
            if input.buffer().is_empty() {
                self.client.flush()?;
            }
            line.clear();
            if input
                .read_until(b'\n', &mut line)
                .map_err(ClientError::Input)?
                == 0
            {
                break;
            }
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let name = || format!("line {number}");
            let text = std::str::from_utf8(text).map_err(|_| ClientError::NotUtf8(name()))?;
            let message = encode(text, self.flags.json, name)?;
            self.publish(&message)?;
        }
        Ok(())
    }
}

/// The message as a JSON text on one line.
fn encode(text: &str, json: bool, name: impl FnOnce() -> String) -> Result<String, ClientError> {
    if !json {
        return Ok(Value::from(text).to_string());
    }
    let checked: &RawValue =
        serde_json::from_str(text).map_err(|error| ClientError::NotJson(name(), error))?;
    Ok(one_line(checked.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_text_or_json() {
        let encode = |text, json| encode(text, json, || "it".into());
        assert_eq!(encode("a \"b\"\n", false).unwrap(), r#""a \"b\"\n""#);
        assert_eq!(
            encode("{\"a\": 1.50}", false).unwrap(),
            r#""{\"a\": 1.50}""#
        );
        assert_eq!(encode(" {\"a\":\n 1.50} ", true).unwrap(), "{\"a\":  1.50}");
        for text in ["", "hello", "NaN", "{} {}"] {
            assert!(encode(text, true).is_err(), "{text}");
        }
    }
}
