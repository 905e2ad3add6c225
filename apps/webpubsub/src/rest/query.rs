//! The query of a request.

use std::{collections::BTreeSet, time::Duration};

use percent_encoding::percent_decode_str;
use polywire_core::http::Response;

use super::error::bad;
use crate::{filter::Filter, recipients::Audience};

/// The query of a request, decoded. Lists are repeated parameters.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let pairs = self.0.iter();
        pairs
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, name: &str, from: u64, to: u64) -> Result<Option<u64>, Response> {
        let Some(value) = self.one(name) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(number) if (from..=to).contains(&number) => Ok(Some(number)),
            _ => Err(bad(&format!(
                "{name} must be a whole number from {from} to {to}."
            ))),
        }
    }

    /// Who is meant.
    pub(super) fn audience(&self) -> Result<Audience, Response> {
        let filter = self.one("filter").map(Filter::parse).transpose();
        Ok(Audience {
            excluded: self
                .all("excluded")
                .map(str::to_owned)
                .collect::<BTreeSet<_>>(),
            filter: filter.map_err(|wrong| bad(&wrong))?,
        })
    }

    /// How long a message may wait for a client; `None` for as long as anything does.
    pub(super) fn ttl(&self) -> Result<Option<Duration>, Response> {
        let seconds = self.number("messageTtlSeconds", 0, 300)?;
        Ok(seconds
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs))
    }
}
