//! HTTP/2 frames as bytes. Header fields are literals that are not indexed: nothing depends on what came before.

/// What a client sends first, with its settings.
pub(crate) fn preface() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &settings()].concat()
}

/// Settings, which a server sends first.
pub(crate) fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[0, 3, 0, 0, 0, 100])
}

/// A frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Whether a frame is the last of its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    Yes,
    No,
}

/// A HEADERS frame.
pub(crate) fn headers(stream: u32, last: Last, fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).ok().filter(|&length| length < 127).expect("a short text");
        [&[length], text.as_bytes()].concat()
    };
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect();
    frame(1, 4 | u8::from(last == Last::Yes), stream, &block)
}

/// The head of a request to `a.example`.
pub(crate) fn request(stream: u32, last: Last, method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "https"), (":authority", "a.example"), (":path", path)];
    headers(stream, last, &[&pseudo, more].concat())
}

/// A DATA frame.
pub(crate) fn data(stream: u32, last: Last, bytes: &[u8]) -> Vec<u8> {
    frame(0, u8::from(last == Last::Yes), stream, bytes)
}
