//! The time of day, as HTTP writes it.

use std::{
    cell::RefCell,
    fmt::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use httpdate::HttpDate;

/// What was written last by a thread.
struct Written {
    second: Duration,
    text: String,
}

thread_local! {
    static WRITTEN: RefCell<Written> = const {
        RefCell::new(Written {
            second: Duration::MAX,
            text: String::new(),
        })
    };
}

/// Appends the time; it is written anew once a second.
pub(super) fn push_date(out: &mut Vec<u8>) {
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let second = Duration::from_secs(second.as_secs());
    WRITTEN.with_borrow_mut(|written| {
        if written.second != second {
            written.second = second;
            written.text.clear();
            // Writing to a string does not fail.
            let _ = write!(written.text, "{}", HttpDate::from(now));
        }
        out.extend_from_slice(written.text.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_time() {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let before = SystemTime::now() - Duration::from_secs(1);
        push_date(&mut first);
        push_date(&mut second);
        for text in [first, second] {
            let time = httpdate::parse_http_date(std::str::from_utf8(&text).unwrap()).unwrap();
            assert!(time >= before && time <= SystemTime::now());
        }
    }
}
