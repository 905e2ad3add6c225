//! A client of the history over HTTP.

use polywire::cli::HistoryFlags;
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::{ClientError, http};

/// Reads the lines of a channel's history; returns when the server has no more, or when `line` says stop.
pub(crate) async fn read(
    flags: &HistoryFlags,
    mut line: impl FnMut(&str) -> Result<bool, ClientError>,
) -> Result<(), ClientError> {
    let server = flags.server.server.to_string();
    let (client, scheme) = http::client(&flags.server, &flags.header, None)?;
    let url = format!("{scheme}://{}/", flags.server.server.authority());
    let mut url = Url::parse(&url).map_err(http::build)?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear()
            .extend(["history", "v1", "channels", &flags.channel]);
    }
    let mut query = match flags.since {
        Some(since) => format!("since={}&limit={}", since.0, u64::MAX),
        None => format!("last={}", flags.last.unwrap_or(10)),
    };
    if flags.follow {
        query = query.split('&').next().unwrap_or_default().to_owned() + "&follow=true";
    }
    if let Some(own) = &flags.query {
        query = format!("{query}&{own}");
    }
    url.set_query(Some(&query));
    let failed = |error: reqwest::Error| {
        // The URL may hold a secret.
        let error = std::io::Error::other(error.without_url());
        ClientError::Unanswered(server.clone(), error)
    };
    let mut answer = client.get(url).send().await.map_err(failed)?;
    let status = answer.status();
    if !status.is_success() {
        let text = answer.text().await.map_err(failed)?;
        return Err(refused(&server, status, &text));
    }
    let mut rest = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let whole: Vec<u8> = rest.drain(..=end).collect();
            let text = String::from_utf8_lossy(&whole[..end]).into_owned();
            if let Some(error) = error(&text) {
                return Err(ClientError::Refused("to go on".into(), error));
            }
            if !line(&text)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The text of a line that says why not.
fn error(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Error {
        error: String,
    }
    serde_json::from_str(line).ok().map(|Error { error }| error)
}

fn refused(server: &str, status: StatusCode, text: &str) -> ClientError {
    match error(text) {
        Some(message) => ClientError::Refused("the history".into(), message),
        None => ClientError::NoHistory(server.to_owned(), status.to_string()),
    }
}
