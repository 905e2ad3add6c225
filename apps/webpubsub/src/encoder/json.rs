//! Messages in JSON.

use base64::{Engine, prelude::BASE64_STANDARD};
use polywire_core::Payload;

use super::sender::Sender;

/// A message up to its last brace.
pub(super) fn body(from: Sender<'_>, payload: &Payload, is_protobuf: bool) -> String {
    let mut to = String::with_capacity(payload.len() + 128);
    match from {
        Sender::Server => to.push_str(r#"{"type":"message","from":"server""#),
        Sender::Group { group, publisher } => {
            to.push_str(r#"{"type":"message","from":"group","group":"#);
            push_string(&mut to, group);
            if let Some(publisher) = publisher {
                to.push_str(r#","fromUserId":"#);
                push_string(&mut to, publisher);
            }
        }
    }
    push_data(&mut to, payload, is_protobuf);
    to
}

fn push_string(to: &mut String, text: &str) {
    // A text always has a JSON form.
    to.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// JSON is spliced as it was written.
fn push_data(to: &mut String, payload: &Payload, is_protobuf: bool) {
    match payload {
        Payload::Json(json) => {
            to.push_str(r#","dataType":"json","data":"#);
            to.push_str(json.as_str());
        }
        Payload::Text(text) => {
            // One that came as a JSON string is JSON.
            to.push_str(match text.quoted() {
                Some(_) => r#","dataType":"json","data":"#,
                None => r#","dataType":"text","data":"#,
            });
            to.push_str(text.to_json().as_str());
        }
        Payload::Binary(bytes) => {
            to.push_str(if is_protobuf {
                r#","dataType":"protobuf","data":""#
            } else {
                r#","dataType":"binary","data":""#
            });
            BASE64_STANDARD.encode_string(bytes, to);
            to.push('"');
        }
    }
}
