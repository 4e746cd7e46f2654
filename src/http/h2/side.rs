//! One direction of an HTTP/2 connection: bytes → frames, header blocks put together and decoded.

use super::super::probe::Probe;
use super::super::streams::FieldSection;
use super::Reader;
use super::frame::{ACK, Block, END_HEADERS, END_STREAM, HEADER, Header, Kind, PADDED, PREFACE, resume};
use super::hpack::{Decoder, Oddities};

/// Most bytes of a header block (HEADERS or PUSH_PROMISE with all its CONTINUATION frames) that are read.
pub const HEADER_BLOCK_MAX: usize = 512 << 10;
/// Most bytes looked at after a loss to tell whether a frame begins.
pub const SEEK_MAX: usize = 64 << 10;
/// Buffers above this size are not kept for what comes next.
const BUFFER_KEEP_MAX: usize = 32 << 10;

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Side {
    state: State,
    /// The preface, a frame header or a frame that is not whole yet, or what is looked through for a frame.
    buf: Vec<u8>,
    hpack: Decoder,
    block: Option<OpenBlock>,
    /// Nothing was read yet.
    fresh: Freshness,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Freshness {
    /// The next frame is the first.
    #[default]
    First,
    Later,
}

#[derive(Debug, Default)]
enum State {
    /// The preface or a frame header is due.
    #[default]
    Start,
    /// A frame header is due.
    Header,
    /// DATA: its padding length is due.
    PadLength(Header),
    /// DATA that goes on as it comes.
    Data { header: Header, left: usize, padding: usize },
    /// A frame that must be whole to be read.
    Whole(Header),
    /// The rest of a frame nobody needs.
    Skip { left: usize },
    /// Looking for the next frame.
    Seek,
}

/// What a header block belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) stream: u32,
    /// The stream a PUSH_PROMISE announces.
    pub(super) promised: Option<u32>,
    pub(super) end_stream: bool,
}

/// A header block that goes on in CONTINUATION frames.
#[derive(Debug)]
struct OpenBlock {
    piece: Piece,
    bytes: Vec<u8>,
}

/// Whether a block is all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    Cut,
}

impl Side {
    /// Bytes kept of an unfinished frame or block, with the table of HPACK.
    pub(super) fn held(&self) -> usize {
        let block = self.block.as_ref().map_or(0, |block| block.bytes.len());
        self.buf.len() + block + self.hpack.held()
    }

    /// The other side allows header tables of this size.
    pub(super) fn allow_table(&mut self, size: u32) {
        self.hpack.allow(size);
    }

    /// Takes bytes in order.
    pub(super) fn feed(&mut self, input: &[u8], reader: &mut Reader<'_>) {
        let taken = self.frames(input, reader);
        if !matches!(self.state, State::Seek) {
            return;
        }
        // What was buffered of earlier input stands before what is left of this.
        let mut seen = std::mem::take(&mut self.buf);
        let fresh = seen.is_empty();
        if !fresh {
            seen.extend_from_slice(&input[taken..]);
        }
        let bytes = if fresh { &input[taken..] } else { &seen };
        let mut at = 0;
        while matches!(self.state, State::Seek) {
            let (skipped, found) = seek(&bytes[at..]);
            reader.skipped(&bytes[at..at + skipped]);
            at += skipped;
            if found != Probe::Yes {
                break;
            }
            self.state = State::Header;
            at += self.frames(&bytes[at..], reader);
        }
        if !matches!(self.state, State::Seek) {
            return;
        }
        if fresh {
            self.buf.extend_from_slice(&bytes[at..]);
        } else {
            seen.drain(..at);
            self.buf = seen;
        }
    }

    /// Reads frames up to the end of the input or to where they make no sense; gives how much it took.
    fn frames(&mut self, input: &[u8], reader: &mut Reader<'_>) -> usize {
        let mut at = 0;
        while at < input.len() && !matches!(self.state, State::Seek) {
            let input = &input[at..];
            at += match self.state {
                State::Start => self.at_start(input, reader),
                State::Header => self.in_header(input, reader),
                State::PadLength(header) => {
                    reader.read(1);
                    self.begin_data(header, header.length - 1, usize::from(input[0]), reader);
                    1
                }
                State::Data { header, left, padding } => self.in_data(input, header, left, padding, reader),
                State::Whole(header) => self.in_whole(input, header, reader),
                State::Skip { left } => {
                    let taken = left.min(input.len());
                    reader.read(taken);
                    self.state = after_skip(left - taken);
                    taken
                }
                State::Seek => 0,
            };
        }
        at
    }

    /// The client's preface, or nothing of it.
    fn at_start(&mut self, input: &[u8], reader: &mut Reader<'_>) -> usize {
        let seen = self.buf.len();
        let same = input.iter().zip(&PREFACE[seen..]).take_while(|(byte, wanted)| byte == wanted).count();
        if seen + same == PREFACE.len() {
            reader.read(PREFACE.len());
            self.buf.clear();
            self.state = State::Header;
            self.fresh = Freshness::Later;
            reader.preface();
            return same;
        }
        if same == input.len() {
            self.buf.extend_from_slice(input);
            return same;
        }
        self.state = State::Header;
        if seen > 0 {
            // The preface is longer than a frame header, so what is buffered may be one and more.
            let seen = std::mem::take(&mut self.buf);
            let taken = self.frames(&seen, reader);
            if matches!(self.state, State::Seek) {
                self.buf.extend_from_slice(&seen[taken..]);
            }
        }
        0
    }

    fn in_header(&mut self, input: &[u8], reader: &mut Reader<'_>) -> usize {
        let before = self.buf.len();
        let taken = (HEADER - before).min(input.len());
        let header = if before == 0 { input.first_chunk() } else { None };
        let header = match header {
            Some(header) => Header::read(*header),
            None => {
                self.buf.extend_from_slice(&input[..taken]);
                let Some(header) = self.buf.first_chunk() else { return taken };
                Header::read(*header)
            }
        };
        if !header.is_possible() {
            reader.weird("bytes that are no HTTP/2 frame");
            self.buf.truncate(before);
            let seen = std::mem::take(&mut self.buf);
            self.lose_sync(reader);
            self.buf = seen;
            return 0;
        }
        self.buf.clear();
        reader.read(HEADER);
        self.begin_frame(header, reader);
        taken
    }

    fn begin_frame(&mut self, header: Header, reader: &mut Reader<'_>) {
        // A direction begins with settings, or the capture began after them.
        if std::mem::replace(&mut self.fresh, Freshness::Later) == Freshness::First
            && (header.kind != Kind::Settings || header.has(ACK))
        {
            self.hpack.forget();
        }
        let continues = |open: &OpenBlock| header.kind == Kind::Continuation && open.piece.stream == header.stream;
        if self.block.as_ref().is_some_and(|open| !continues(open)) {
            reader.weird("header block that breaks off");
            self.cut_block(reader);
        }
        match header.kind {
            Kind::Data if header.has(PADDED) && header.length > 0 => self.state = State::PadLength(header),
            Kind::Data => self.begin_data(header, header.length, 0, reader),
            Kind::Headers | Kind::PushPromise | Kind::Continuation | Kind::Settings => {
                self.state = State::Whole(header);
                if header.length == 0 {
                    self.whole(header, &[], reader);
                } else if header.length > HEADER_BLOCK_MAX {
                    reader.weird("header block above the cap");
                    self.hpack.forget();
                    self.state = State::Skip { left: header.length };
                }
            }
            Kind::ResetStream => {
                reader.reset(header.stream);
                self.state = after_skip(header.length);
            }
            Kind::Priority | Kind::Ping | Kind::GoAway | Kind::WindowUpdate | Kind::Other(_) => {
                self.state = after_skip(header.length);
            }
        }
    }

    fn begin_data(&mut self, header: Header, length: usize, padding: usize, reader: &mut Reader<'_>) {
        self.state = State::Data { header, left: length.saturating_sub(padding), padding: padding.min(length) };
        if padding > length {
            reader.weird("padding longer than its frame");
        }
        if length <= padding {
            self.end_data(header, padding.min(length), reader);
        }
    }

    fn in_data(&mut self, input: &[u8], header: Header, left: usize, padding: usize, reader: &mut Reader<'_>) -> usize {
        let taken = left.min(input.len());
        reader.read(taken);
        reader.data(header.stream, &input[..taken]);
        self.state = State::Data { header, left: left - taken, padding };
        if left == taken {
            self.end_data(header, padding, reader);
        }
        taken
    }

    fn end_data(&mut self, header: Header, padding: usize, reader: &mut Reader<'_>) {
        if header.has(END_STREAM) {
            reader.end(header.stream);
        }
        self.state = after_skip(padding);
    }

    /// Of a frame that must be whole.
    fn in_whole(&mut self, input: &[u8], header: Header, reader: &mut Reader<'_>) -> usize {
        let taken = (header.length - self.buf.len()).min(input.len());
        reader.read(taken);
        if taken == header.length {
            self.whole(header, &input[..taken], reader);
            return taken;
        }
        self.buf.extend_from_slice(&input[..taken]);
        if self.buf.len() == header.length {
            let mut payload = std::mem::take(&mut self.buf);
            self.whole(header, &payload, reader);
            if payload.capacity() <= BUFFER_KEEP_MAX {
                payload.clear();
                self.buf = payload;
            }
        }
        taken
    }

    fn whole(&mut self, header: Header, payload: &[u8], reader: &mut Reader<'_>) {
        self.state = State::Header;
        if header.kind == Kind::Settings {
            reader.settings(payload);
            return;
        }
        let Some(Block { fields, promised }) = header.block(payload) else {
            reader.weird("padding longer than its frame");
            self.hpack.forget();
            return;
        };
        let end_stream = header.kind == Kind::Headers && header.has(END_STREAM);
        let piece = Piece { stream: header.stream, promised, end_stream };
        match &mut self.block {
            None if header.kind == Kind::Continuation => {
                // Its beginning was not captured, or was given up.
                reader.weird("header block without its beginning");
                self.hpack.forget();
            }
            None if header.has(END_HEADERS) => self.decode(piece, fields, Extent::Whole, reader),
            None => self.block = Some(OpenBlock { piece, bytes: fields.to_vec() }),
            Some(open) if open.bytes.len() + fields.len() > HEADER_BLOCK_MAX => {
                reader.weird("header block above the cap");
                self.cut_block(reader);
            }
            Some(open) => {
                open.bytes.extend_from_slice(fields);
                if header.has(END_HEADERS)
                    && let Some(open) = self.block.take()
                {
                    self.decode(open.piece, &open.bytes, Extent::Whole, reader);
                }
            }
        }
    }

    /// The block on its way does not go on: what came of it is read.
    fn cut_block(&mut self, reader: &mut Reader<'_>) {
        if let Some(open) = self.block.take() {
            self.decode(open.piece, &open.bytes, Extent::Cut, reader);
        }
    }

    fn decode(&mut self, piece: Piece, block: &[u8], extent: Extent, reader: &mut Reader<'_>) {
        let mut section = FieldSection::for_block(block.len());
        match (self.hpack.block(block, &mut section), extent) {
            (Ok(odd), Extent::Whole) => report(odd, reader),
            (Err(_), Extent::Whole) => reader.weird("header block that is no HPACK"),
            (_, Extent::Cut) => {
                self.hpack.forget();
                section.incomplete = true;
            }
        }
        reader.fields(piece, section);
    }

    /// Bytes were lost at this point.
    pub(super) fn lost(&mut self, gap: u64, reader: &mut Reader<'_>) {
        let gap = usize::try_from(gap).unwrap_or(usize::MAX);
        match self.state {
            // The loss ends within the frame: only this stream misses something.
            State::Data { header, left, padding } if gap <= left + padding => {
                reader.lost(header.stream, gap.min(left));
                match left.checked_sub(gap) {
                    Some(left) if left > 0 => self.state = State::Data { header, left, padding },
                    _ => self.end_data(header, left + padding - gap, reader),
                }
            }
            State::Skip { left } if gap <= left => self.state = after_skip(left - gap),
            State::Whole(header) if gap <= header.length - self.buf.len() => {
                let left = header.length - self.buf.len() - gap;
                self.cut_whole(header, reader);
                self.state = after_skip(left);
            }
            State::Seek => {
                let skipped = std::mem::take(&mut self.buf);
                reader.skipped(&skipped);
            }
            State::Start | State::Header | State::PadLength(_) | State::Data { .. } | State::Skip { .. } => {
                self.lose_sync(reader);
            }
            State::Whole(header) => {
                self.cut_whole(header, reader);
                self.lose_sync(reader);
            }
        }
    }

    /// The rest of a frame that is read as a whole does not come.
    fn cut_whole(&mut self, header: Header, reader: &mut Reader<'_>) {
        let payload = std::mem::take(&mut self.buf);
        self.state = State::Header;
        if header.kind == Kind::Settings {
            return;
        }
        // Padding is what was lost last.
        let header = Header { length: payload.len(), flags: header.flags & !PADDED, ..header };
        let padded = usize::from(header.flags & PADDED != 0);
        if let Some(Block { fields, promised }) = payload.get(padded..).and_then(|payload| header.block(payload)) {
            let piece = Piece { stream: header.stream, promised, end_stream: header.has(END_STREAM) };
            match &mut self.block {
                Some(open) => open.bytes.extend_from_slice(fields),
                None if header.kind == Kind::Continuation => {}
                open @ None => *open = Some(OpenBlock { piece, bytes: fields.to_vec() }),
            }
        }
        self.cut_block(reader);
        self.hpack.forget();
    }

    /// Where the next frame begins is not known.
    fn lose_sync(&mut self, reader: &mut Reader<'_>) {
        self.cut_block(reader);
        reader.lost_frames();
        self.hpack.forget();
        self.fresh = Freshness::Later;
        let seen = std::mem::take(&mut self.buf);
        reader.skipped(&seen);
        self.state = State::Seek;
    }

    /// No more bytes come.
    pub(super) fn end(&mut self, reader: &mut Reader<'_>) {
        match self.state {
            State::Whole(header) => self.cut_whole(header, reader),
            State::Start | State::Header | State::Seek => {
                let left = std::mem::take(&mut self.buf);
                reader.skipped(&left);
            }
            State::PadLength(_) | State::Data { .. } | State::Skip { .. } => {}
        }
        self.cut_block(reader);
        self.state = State::Header;
    }
}

/// How many bytes stand before what is a frame or may be one, and which of the two it is.
fn seek(bytes: &[u8]) -> (usize, Probe) {
    let mut at = 0;
    // Likely lengths begin with a zero.
    while let Some(zero) = memchr::memchr(0, &bytes[at..]) {
        at += zero;
        let view = &bytes[at..bytes.len().min(at + SEEK_MAX)];
        match resume(view) {
            Probe::Unsure if view.len() == SEEK_MAX => {}
            Probe::No => {}
            found => return (at, found),
        }
        at += 1;
    }
    (bytes.len(), Probe::No)
}

const fn after_skip(left: usize) -> State {
    if left == 0 { State::Header } else { State::Skip { left } }
}

fn report(odd: Oddities, reader: &mut Reader<'_>) {
    if odd.unknown {
        reader.weird("header fields that refer to what was not captured");
    }
    if odd.malformed {
        reader.weird("malformed header fields");
    }
    if odd.large_table {
        reader.weird("header table above the cap");
    }
}
