//! A number of bytes, or a share of the memory of the machine.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A bound of memory as it is written in a configuration: a number of bytes, a share such as `"60%"` of the memory that
/// the process may use, or `"off"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemoryBytes {
    /// No bound.
    #[default]
    Off,
    /// So many bytes.
    Bytes(usize),
    /// So many hundredths of the memory of the machine, or of the control group where that is less.
    Percent(u8),
}

impl MemoryBytes {
    /// The bound in bytes; `None` for no bound, and for a share where the system does not say how much there is.
    pub fn bytes(self) -> Option<usize> {
        match self {
            Self::Off => None,
            Self::Bytes(bytes) => Some(bytes),
            Self::Percent(percent) => Some(available()? / 100 * usize::from(percent)),
        }
    }
}

/// Bytes that this process may use: those of the machine, or of its control group.
fn available() -> Option<usize> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| total_of(&text));
    let groups = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    // "max" where there is no limit.
    let group = groups
        .into_iter()
        .filter_map(read)
        .find_map(|text| text.trim().parse().ok());
    machine.into_iter().chain(group).min()
}

/// The memory of the machine, of what `/proc/meminfo` says.
fn total_of(text: &str) -> Option<usize> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

impl fmt::Display for MemoryBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for MemoryBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bytes(bytes) => serializer.serialize_u64(*bytes as u64),
            other => serializer.collect_str(other),
        }
    }
}

impl<'de> Deserialize<'de> for MemoryBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemoryBytesVisitor)
    }
}

struct MemoryBytesVisitor;

impl de::Visitor<'_> for MemoryBytesVisitor {
    type Value = MemoryBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes, a share of the memory such as \"60%\", or \"off\"")
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<MemoryBytes, E> {
        usize::try_from(bytes)
            .map(MemoryBytes::Bytes)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(bytes), &self))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<MemoryBytes, E> {
        match u64::try_from(bytes) {
            Ok(bytes) => self.visit_u64(bytes),
            Err(_) => Err(E::invalid_value(de::Unexpected::Signed(bytes), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<MemoryBytes, E> {
        let percent = text.strip_suffix('%').map(str::parse);
        match (text, percent) {
            ("off", _) => Ok(MemoryBytes::Off),
            (_, Some(Ok(percent @ 1..=100))) => Ok(MemoryBytes::Percent(percent)),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<MemoryBytes, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_number_a_share_or_nothing() {
        assert_eq!(read("1000"), Ok(MemoryBytes::Bytes(1000)));
        assert_eq!(read("\"60%\""), Ok(MemoryBytes::Percent(60)));
        assert_eq!(read("\"off\""), Ok(MemoryBytes::Off));
        for wrong in ["-1", "\"0%\"", "\"101%\"", "\"60\"", "\"much\"", "true"] {
            assert!(read(wrong).unwrap_err().contains("\"60%\""), "{wrong}");
        }
        for bound in [
            MemoryBytes::Off,
            MemoryBytes::Bytes(7),
            MemoryBytes::Percent(9),
        ] {
            let json = serde_json::to_string(&bound).unwrap();
            assert_eq!(read(&json), Ok(bound));
        }
    }

    #[test]
    fn a_share_is_one_of_the_whole() {
        assert_eq!(
            total_of("MemTotal:       24684812 kB\nMemFree: 1 kB\n"),
            Some(24_684_812 * 1024)
        );
        assert_eq!(MemoryBytes::Off.bytes(), None);
        let half = MemoryBytes::Percent(50).bytes();
        let whole = MemoryBytes::Percent(100).bytes();
        assert!(half.is_some() && half < whole, "{half:?} of {whole:?}");
    }
}
