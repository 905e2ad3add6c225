//! Both readers of the SockJS codec agree, and what they read survives being framed again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use polywire_core::{
    delivery::Message,
    transport::sockjs::{incoming, message_frame, payload, quote},
};

fuzz_target!(|bytes: &[u8]| {
    let framed = incoming(bytes);
    if let Ok(messages) = payload(bytes) {
        assert_eq!(framed.as_ref(), Ok(&messages), "a body is a frame as well");
    }
    if let Ok(messages) = framed {
        let quoted: Vec<String> = messages
            .iter()
            .map(|text| quote(&Message::Text(text.clone())))
            .collect();
        let frame = message_frame(&quoted);
        assert_eq!(incoming(&frame.as_bytes()[1..]), Ok(messages));
    }
});
