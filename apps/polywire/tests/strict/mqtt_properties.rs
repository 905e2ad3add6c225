//! Properties and texts of MQTT 5.0, read as strictly as any client reads them.

/// A text that no client refuses: mosquitto's, for one, closes its connection for control characters.
pub(crate) fn is_text(text: &str) -> bool {
    !text.chars().any(|character| {
        let code = u32::from(character);
        character.is_control() || (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
    })
}

pub(crate) fn take_u16(bytes: &mut &[u8]) -> u16 {
    u16::from_be_bytes(take(bytes, 2).try_into().unwrap())
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> &'b [u8] {
    let (taken, rest) = bytes.split_at_checked(length).expect("a field is cut");
    *bytes = rest;
    taken
}

fn take_data<'b>(bytes: &mut &'b [u8]) -> &'b [u8] {
    let length = take_u16(bytes);
    take(bytes, length.into())
}

pub(crate) fn take_text(bytes: &mut &[u8]) -> String {
    let text = std::str::from_utf8(take_data(bytes)).expect("a text is UTF-8");
    assert!(is_text(text), "{text:?}");
    text.to_owned()
}

/// What the properties of a PUBLISH say that is of interest.
#[derive(Default)]
pub(crate) struct Properties {
    pub(crate) alias: Option<u16>,
    pub(crate) is_utf8: bool,
}

impl Properties {
    pub(crate) fn take(bytes: &mut &[u8]) -> Self {
        let length = varint(bytes);
        let mut rest = take(bytes, length);
        let (mut found, mut seen) = (Self::default(), Vec::new());
        while !rest.is_empty() {
            let id = take(&mut rest, 1)[0];
            match id {
                0x01 => {
                    let flag = take(&mut rest, 1)[0];
                    assert!(flag <= 1);
                    found.is_utf8 = flag == 1;
                }
                0x02 => drop(take(&mut rest, 4)),
                0x03 => drop(take_text(&mut rest)),
                0x08 => {
                    let topic = take_text(&mut rest);
                    assert!(
                        !topic.is_empty() && !topic.contains(['+', '#']),
                        "{topic:?}"
                    );
                }
                0x09 => drop(take_data(&mut rest)),
                0x0b => assert_ne!(varint(&mut rest), 0),
                0x23 => {
                    let alias = take_u16(&mut rest);
                    assert_ne!(alias, 0);
                    found.alias = Some(alias);
                }
                0x26 => drop((take_text(&mut rest), take_text(&mut rest))),
                other => panic!("property {other:#x}"),
            }
            let may_repeat = matches!(id, 0x0b | 0x26);
            assert!(
                may_repeat || !seen.contains(&id),
                "{id:#x} stands there twice"
            );
            seen.push(id);
        }
        found
    }
}

fn varint(bytes: &mut &[u8]) -> usize {
    let mut value = 0;
    for index in 0..4 {
        let byte = take(bytes, 1)[0];
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a length of five bytes")
}
