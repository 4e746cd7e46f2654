//! What tests send: HTTP/3 frames, field sections of literals, and instructions that insert.

pub(crate) fn varint(value: usize) -> Vec<u8> {
    match value {
        0..64 => vec![value as u8],
        64..16_384 => vec![0x40 | (value >> 8) as u8, value as u8],
        _ => [&[0x80 | (value >> 24) as u8][..], &(value as u32).to_be_bytes()[1..]].concat(),
    }
}

pub(crate) fn frame(kind: usize, payload: &[u8]) -> Vec<u8> {
    [varint(kind), varint(payload.len()), payload.to_vec()].concat()
}

fn string(prefix: u32, first: u8, text: &str) -> Vec<u8> {
    let most = (1usize << prefix) - 1;
    assert!(text.len() < most + 128);
    let mut coded = vec![first | text.len().min(most) as u8];
    coded.extend(text.len().checked_sub(most).map(|rest| rest as u8));
    [coded, text.as_bytes().to_vec()].concat()
}

/// HEADERS of literal fields.
pub(crate) fn headers(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut section = vec![0, 0];
    for (name, value) in fields {
        section.extend(string(3, 0x20, name));
        section.extend(string(7, 0, value));
    }
    frame(1, &section)
}

pub(crate) fn get(path: &str) -> Vec<u8> {
    headers(&[(":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", path)])
}

pub(crate) fn status(code: &str) -> Vec<u8> {
    headers(&[(":status", code)])
}

pub(crate) fn data(bytes: &[u8]) -> Vec<u8> {
    frame(0, bytes)
}

/// An instruction that inserts a field.
pub(crate) fn insert(name: &str, value: &str) -> Vec<u8> {
    [string(5, 0x40, name), string(7, 0, value)].concat()
}
