//! WebSocket, with and without compression: however the bytes are cut, the same messages; and messages that were well
//! framed come out as they were.

use crate::pieces::{Piece, all_said, check, context, joined, pieces, recut};
use divulge::http::Output;
use divulge::http::websocket::{Opening, WebSocket};
use divulge::model::{Direction, Headers, Request, Timestamp};
use flate2::{Compress, Compression, FlushCompress};

/// What the first byte of an input chooses.
#[derive(Clone, Copy)]
struct Choice(u8);

impl Choice {
    /// The pieces are messages to be framed, not frames.
    const MESSAGES: u8 = 0x80;
    /// Each message is compressed with an empty window.
    const FRESH: u8 = 0x10;

    fn is_on(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// Field of the answer; none where it was not captured.
    fn extensions(self) -> Option<&'static str> {
        let fresh = "permessage-deflate; client_no_context_takeover; server_no_context_takeover";
        match self.0 & 3 {
            _ if self.is_on(Self::MESSAGES) => Some(if self.is_on(Self::FRESH) { fresh } else { "permessage-deflate" }),
            0 => Some("permessage-deflate"),
            1 => Some(fresh),
            2 => Some("x-none"),
            _ => None,
        }
    }
}

/// Reads one input.
pub fn target(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let choice = Choice(choice);
    if choice.is_on(Choice::MESSAGES) {
        return well_framed(choice, rest);
    }
    let whole = pieces(rest);
    assert_eq!(all_said(&run(choice, &whole)), all_said(&run(choice, &recut(&whole))));
}

fn run(choice: Choice, pieces: &[Piece<'_>]) -> Output {
    let answer = choice.extensions().map(|value| {
        let mut headers = Headers::default();
        headers.push(b"Sec-WebSocket-Extensions", value.as_bytes());
        headers
    });
    let request = Request { method: "GET".to_owned(), target: Box::from(&b"/ws"[..]), ..Request::default() };
    let opening = Opening { request: Some(request), answer, swapped: false };
    let mut socket = WebSocket::new(context(), opening);
    let (mut out, mut index) = (Output::default(), 0);
    for piece in pieces {
        socket.chunk(piece.chunk(), &mut index, &mut out);
    }
    socket.finish(Timestamp::from_nanos(0), &mut index, &mut out);
    check(&out);
    out
}

/// Frames each piece as a message, in fragments, some of them compressed: no message may differ or be missing.
fn well_framed(choice: Choice, data: &[u8]) {
    let messages = pieces(data);
    let mut windows = [Compress::new(Compression::fast(), false), Compress::new(Compression::fast(), false)];
    let mut wire = Vec::new();
    for (number, message) in messages.iter().enumerate() {
        let deflated = (usize::from(choice.0) + number) & 1 == 0;
        let window = &mut windows[message.direction.index()];
        let payload = if deflated { deflate(choice, window, message.bytes) } else { message.bytes.to_vec() };
        let cut = if choice.is_on(4) { payload.len() / 2 } else { payload.len() };
        let parts: Vec<&[u8]> =
            if choice.is_on(8) { vec![&payload[..cut], &payload[cut..]] } else { vec![&payload[..]] };
        let mut frames = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let last = at + 1 == parts.len();
            let first = if at == 0 { 2 | u8::from(deflated) << 6 } else { 0 };
            frames.extend(frame(first | u8::from(last) << 7, message.direction, part));
        }
        wire.push((message.direction, frames));
    }
    let wire: Vec<_> = wire.iter().map(|(direction, frames)| (*direction, &frames[..])).collect();
    let out = run(choice, &pieces(&joined(&wire)));
    let came = out.exchanges.iter().map(|exchange| match &exchange.response {
        Some(response) => (Direction::ToClient, &response.body),
        None => (Direction::ToServer, &exchange.request.as_ref().expect("a message of the client").body),
    });
    let came: Vec<_> = came.map(|(direction, body)| (direction, &body.data[..], body.complete)).collect();
    let sent: Vec<_> = messages.iter().map(|message| (message.direction, message.bytes, true)).collect();
    assert_eq!(came, sent);
}

fn frame(first: u8, direction: Direction, payload: &[u8]) -> Vec<u8> {
    let mask = if direction == Direction::ToServer { 0x80 } else { 0 };
    let mut frame = vec![first];
    match u16::try_from(payload.len()).expect("short") {
        len @ 0..=125 => frame.push(mask | len as u8),
        len => {
            frame.push(mask | 126);
            frame.extend(len.to_be_bytes());
        }
    }
    let key: [u8; 4] = if mask == 0 { [0; 4] } else { [0x37, 0xfa, 0x21, 0x3d] };
    if mask != 0 {
        frame.extend(key);
    }
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn deflate(choice: Choice, window: &mut Compress, bytes: &[u8]) -> Vec<u8> {
    // RFC 7692 §7.2.3.6.
    if bytes.is_empty() {
        return vec![0];
    }
    if choice.is_on(Choice::FRESH) {
        window.reset();
    }
    let mut out = Vec::with_capacity(2 * bytes.len() + 64);
    window.compress_vec(bytes, &mut out, FlushCompress::Sync).expect("deflate of anything");
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len() - 4);
    out
}
