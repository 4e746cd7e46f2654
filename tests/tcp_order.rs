//! TCP as captures show it, through the whole pipeline: whatever way the same bytes were cut, repeated and reordered,
//! the exchanges are the same; what was lost is told as lost.

use divulge::model::{Exchange, Frame, LinkType, Timestamp};
use divulge::pipeline::{Event, Pipeline, Settings};
use proptest::prelude::*;

const CLIENT: bool = true;
const SERVER: bool = false;

/// A TCP segment on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    from_client: bool,
    seq: u32,
    ack: Option<u32>,
    flags: u8,
    data: Vec<u8>,
    /// Bytes the snap length cut off.
    cut: usize,
    port: u16,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// A connection that is being written down.
struct Wire {
    seq: [u32; 2],
    port: u16,
    segments: Vec<Segment>,
}

impl Wire {
    fn new(client: u32, server: u32) -> Self {
        Self { seq: [client, server], port: 40_000, segments: Vec::new() }
    }

    fn opened(client: u32, server: u32) -> Self {
        let mut wire = Self::new(client, server);
        wire.send(CLIENT, SYN, b"");
        wire.send(SERVER, SYN | ACK, b"");
        wire.send(CLIENT, ACK, b"");
        wire
    }

    fn send(&mut self, from_client: bool, flags: u8, data: &[u8]) {
        let (own, other) = if from_client { (0, 1) } else { (1, 0) };
        let ack = (flags & ACK != 0).then_some(self.seq[other]);
        let (seq, port) = (self.seq[own], self.port);
        self.segments.push(Segment { from_client, seq, ack, flags, data: data.to_vec(), cut: 0, port });
        let length = u32::try_from(data.len()).expect("small");
        self.seq[own] = seq.wrapping_add(length).wrapping_add(u32::from(flags & (SYN | FIN) != 0));
    }

    /// Sends bytes in pieces of these sizes, used in turn.
    fn pieces(&mut self, from_client: bool, data: &[u8], sizes: &[usize]) {
        let (mut rest, mut turn) = (data, 0);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(sizes[turn % sizes.len()].min(rest.len()));
            self.send(from_client, ACK, piece);
            (rest, turn) = (after, turn + 1);
        }
    }

    fn close(&mut self) {
        self.send(CLIENT, ACK | FIN, b"");
        self.send(SERVER, ACK | FIN, b"");
        self.send(CLIENT, ACK, b"");
    }
}

/// `turns` requests with their answers, in pieces, over a whole connection.
fn dialogue(turns: usize, sizes: &[usize], client: u32, server: u32) -> Vec<Segment> {
    let mut wire = Wire::opened(client, server);
    for turn in 0..turns {
        wire.pieces(CLIENT, &request(turn), sizes);
        wire.pieces(SERVER, &answer(turn), sizes);
    }
    wire.close();
    wire.segments
}

fn request(turn: usize) -> Vec<u8> {
    let body = format!("{{\"turn\":{turn},\"pad\":\"{}\"}}", "x".repeat(turn * 7));
    format!("POST /t{turn} HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn answer(turn: usize) -> Vec<u8> {
    let body = "y".repeat(20 + turn * 11);
    format!("HTTP/1.1 20{turn} OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Frames of raw IPv4, a millisecond apart.
fn exchanges(segments: &[Segment]) -> Vec<Exchange> {
    let mut pipeline = Pipeline::new(&Settings::default());
    for (number, segment) in (1u32..).zip(segments) {
        let bytes = packet(segment);
        let captured = bytes.len() - segment.cut;
        pipeline.handle_frame(&Frame {
            number: u64::from(number),
            ts: Timestamp::from_nanos(i64::from(number) * 1_000_000),
            link: LinkType(101),
            data: &bytes[..captured],
            original_len: u32::try_from(bytes.len()).expect("small"),
            app: None,
        });
    }
    pipeline.finish();
    let mut out = Vec::new();
    while let Some(event) = pipeline.poll_event() {
        if let Event::Exchange(exchange) = event {
            out.push(*exchange);
        }
    }
    out
}

fn packet(segment: &Segment) -> Vec<u8> {
    let (client, server) = ([10, 0, 0, 2], [192, 0, 2, 1]);
    let (src, dst, src_port, dst_port) =
        if segment.from_client { (client, server, segment.port, 80u16) } else { (server, client, 80, segment.port) };
    let total = u16::try_from(40 + segment.data.len()).expect("small");
    let mut out = vec![0x45, 0];
    out.extend(total.to_be_bytes());
    out.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    out.extend(src);
    out.extend(dst);
    out.extend(src_port.to_be_bytes());
    out.extend(dst_port.to_be_bytes());
    out.extend(segment.seq.to_be_bytes());
    out.extend(segment.ack.unwrap_or(0).to_be_bytes());
    out.extend([0x50, segment.flags, 0xff, 0xff, 0, 0, 0, 0]);
    out.extend(&segment.data);
    out
}

/// What an exchange was, without when.
fn shown(exchange: &Exchange) -> String {
    let request = exchange.request.as_ref().map(|request| {
        let body = &request.body;
        format!("{} {} {:?} {}", request.method, request.target_text(), body.sha256, body.complete)
    });
    let response = exchange
        .response
        .as_ref()
        .map(|response| format!("{} {:?} {}", response.status, response.body.sha256, response.body.complete));
    format!("{request:?} → {response:?}")
}

fn summary(segments: &[Segment]) -> Vec<String> {
    exchanges(segments).iter().map(shown).collect()
}

/// `POST /t0 200` of each exchange; `-` for what was not seen, `!` after a body that is not whole.
fn brief(segments: &[Segment]) -> Vec<String> {
    let mark = |complete: bool| if complete { "" } else { "!" };
    let one = |exchange: &Exchange| {
        let request = exchange
            .request
            .as_ref()
            .map_or("-".to_owned(), |request| format!("{}{}", request.target_text(), mark(request.body.complete)));
        let response = exchange
            .response
            .as_ref()
            .map_or("-".to_owned(), |response| format!("{}{}", response.status, mark(response.body.complete)));
        format!("{request} {response}")
    };
    exchanges(segments).iter().map(one).collect()
}

fn shuffle<T>(items: &mut [T], mut state: u64, window: usize) {
    for at in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let reach = window.min(at + 1);
        let back = usize::try_from(state >> 33).expect("31 bits") % reach;
        items.swap(at, at - back);
    }
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(prop_oneof![1usize..40, 40usize..400], 1..6)
}

/// An order over less than this many packets is never wrong by more than is waited for.
const SHORT: usize = 30;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_segmentation_gives_the_same_exchanges(sizes in sizes(), client in any::<u32>(), server in any::<u32>()) {
        let expected = summary(&dialogue(3, &[100_000], 1, 1));
        prop_assert_eq!(expected.len(), 3);
        prop_assert_eq!(summary(&dialogue(3, &sizes, client, server)), expected);
    }

    /// Answers may be captured before their questions, and either before the packets that opened the connection.
    #[test]
    fn any_order_of_a_short_connection_gives_the_same_exchanges(
        sizes in proptest::collection::vec(40usize..400, 1..4), order in any::<u64>(), client in any::<u32>()
    ) {
        let mut segments = dialogue(2, &sizes, client, 7);
        prop_assume!(segments.len() <= SHORT);
        let expected = summary(&dialogue(2, &[100_000], 1, 1));
        let len = segments.len();
        shuffle(&mut segments[2..], order, len);
        prop_assert_eq!(summary(&segments), expected);
    }

    #[test]
    fn an_order_that_is_wrong_by_a_few_packets_changes_nothing(
        sizes in sizes(), order in any::<u64>(), window in 2usize..24, client in any::<u32>()
    ) {
        let mut segments = dialogue(4, &sizes, client, 99);
        let expected = summary(&dialogue(4, &[100_000], 1, 1));
        shuffle(&mut segments[2..], order, window);
        prop_assert_eq!(summary(&segments), expected);
    }

    #[test]
    fn repeats_and_overlaps_of_the_same_bytes_change_nothing(
        sizes in sizes(), repeats in proptest::collection::vec((any::<u16>(), 0usize..60, 0usize..60), 0..12)
    ) {
        let plain = dialogue(3, &sizes, u32::MAX - 60, u32::MAX - 30);
        let mut segments = plain.clone();
        for (place, before, after) in repeats {
            // A stretch of one direction's bytes around a segment, sent again behind it.
            let at = usize::from(place) % plain.len();
            let Some(again) = stretch(&plain, at, before, after) else { continue };
            let behind = segments.iter().position(|segment| *segment == plain[at]).expect("it is there") + 1;
            segments.insert(behind, again);
        }
        prop_assert_eq!(summary(&segments), summary(&plain));
    }

    #[test]
    fn one_direction_gives_what_it_holds(sizes in sizes(), order in any::<u64>(), keep_client in any::<bool>()) {
        let mut segments = dialogue(3, &sizes, 5, 6);
        segments.retain(|segment| segment.from_client == keep_client);
        shuffle(&mut segments[1..], order, 6);
        let expected: Vec<_> = (0..3).map(|n| if keep_client { format!("/t{n} -") } else { format!("- 20{n}") }).collect();
        prop_assert_eq!(brief(&segments), expected);
    }

    #[test]
    fn a_capture_that_begins_in_the_middle_begins_with_its_first_byte(
        sizes in proptest::collection::vec(20usize..200, 1..4), order in any::<u64>()
    ) {
        let mut segments = dialogue(2, &sizes, 5, 6);
        segments.drain(..3);
        // The segments of the first request, in any order: the server answers when it has them all.
        let first = segments.iter().position(|segment| !segment.from_client).expect("an answer");
        prop_assume!(first <= 8);
        shuffle(&mut segments[..first], order, first);
        prop_assert_eq!(brief(&segments), ["/t0 200", "/t1 201"]);
    }
}

/// Bytes of the direction of `plain[at]`, from some before it to some into what follows, as far as they were sent.
fn stretch(plain: &[Segment], at: usize, before: usize, after: usize) -> Option<Segment> {
    let middle = plain.get(at).filter(|segment| !segment.data.is_empty())?;
    let own = |segment: &&Segment| segment.from_client == middle.from_client && !segment.data.is_empty();
    let sent: Vec<u8> = plain[..=at].iter().filter(own).flat_map(|segment| segment.data.clone()).collect();
    // Not into an answer to what was not asked yet.
    let next: Vec<u8> = plain[at + 1..].iter().take(1).filter(own).flat_map(|segment| segment.data.clone()).collect();
    let from = sent.len().saturating_sub(middle.data.len() + before);
    let offset = sent.len() - middle.data.len() - from;
    let data = [&sent[from..], &next[..after.min(next.len())]].concat();
    let seq = middle.seq.wrapping_sub(u32::try_from(offset).expect("small"));
    Some(Segment { seq, data, ..middle.clone() })
}

#[test]
fn an_answer_captured_before_its_question_belongs_to_it() {
    let mut segments = dialogue(2, &[100_000], 5, 6);
    // The question, the answer; the other question, its answer.
    segments.swap(3, 4);
    segments.swap(5, 6);
    assert_eq!(brief(&segments), ["/t0 200", "/t1 201"]);
    // In the middle of a connection too.
    assert_eq!(brief(&segments[3..]), ["/t0 200", "/t1 201"]);
}

#[test]
fn keep_alives_add_nothing() {
    let mut wire = Wire::opened(100, u32::MAX);
    for turn in 0..2 {
        wire.pieces(CLIENT, &request(turn), &[50]);
        wire.pieces(SERVER, &answer(turn), &[50]);
        for (from_client, data) in [(CLIENT, &b""[..]), (CLIENT, b"\0"), (SERVER, b"z"), (SERVER, b"")] {
            let own = usize::from(!from_client);
            wire.seq[own] = wire.seq[own].wrapping_sub(1);
            wire.send(from_client, ACK, data);
            wire.seq[own] = wire.seq[own].wrapping_add(1 - u32::try_from(data.len()).expect("small"));
        }
    }
    wire.close();
    assert_eq!(brief(&wire.segments), ["/t0 200", "/t1 201"]);
    // As the first thing seen of a connection.
    let from = wire.segments.iter().position(|segment| segment.data == b"\0").expect("a keep-alive");
    assert_eq!(brief(&wire.segments[from..]), ["/t1 201"]);
}

#[test]
fn a_request_in_the_syn_is_read_once() {
    let mut wire = Wire::new(u32::MAX - 3, 9);
    let question = request(0);
    wire.send(CLIENT, SYN, &question);
    wire.seq[0] = (u32::MAX - 3).wrapping_add(1 + u32::try_from(question.len()).expect("small"));
    wire.send(SERVER, SYN | ACK, b"");
    wire.send(CLIENT, ACK, b"");
    // Sent again by a client that does not know it was taken.
    let again = Segment { seq: u32::MAX - 2, flags: ACK, ack: Some(10), data: question, ..wire.segments[2].clone() };
    wire.segments.push(again);
    wire.pieces(SERVER, &answer(0), &[30]);
    wire.close();
    assert_eq!(brief(&wire.segments), ["/t0 200"]);
}

#[test]
fn both_sides_may_open_at_once() {
    let mut wire = Wire::new(50, 90);
    wire.send(CLIENT, SYN, b"");
    wire.send(SERVER, SYN, b"");
    let (client, server) = (wire.segments[0].clone(), wire.segments[1].clone());
    wire.segments.push(Segment { flags: SYN | ACK, ack: Some(91), ..client });
    wire.segments.push(Segment { flags: SYN | ACK, ack: Some(51), ..server });
    wire.pieces(CLIENT, &request(0), &[40]);
    wire.pieces(SERVER, &answer(0), &[40]);
    wire.close();
    assert_eq!(brief(&wire.segments), ["/t0 200"]);
}

#[test]
fn a_five_tuple_used_again_is_another_connection() {
    let mut segments = dialogue(1, &[60], 5, 6);
    segments.extend(dialogue(1, &[60], 900_000, 77));
    // Once more after a reset, and once more after nothing at all.
    let mut cut = Wire::opened(7_000_000, 3);
    cut.pieces(CLIENT, &request(0), &[60]);
    cut.send(SERVER, RST | ACK, b"");
    segments.extend(cut.segments);
    segments.extend(dialogue(1, &[60], 50, 60));
    assert_eq!(brief(&segments), ["/t0 200", "/t0 200", "/t0 -", "/t0 200"]);
}

#[test]
fn a_reset_captured_before_the_last_bytes_ends_after_them() {
    let mut wire = Wire::opened(5, 6);
    wire.pieces(CLIENT, &request(0), &[60]);
    wire.pieces(SERVER, &answer(0), &[60]);
    wire.send(SERVER, RST | ACK, b"");
    let last = wire.segments.len() - 1;
    assert_eq!(brief(&wire.segments), ["/t0 200"]);
    wire.segments.swap(last, last - 1);
    assert_eq!(brief(&wire.segments), ["/t0 200"]);
    wire.segments.swap(last - 1, last - 2);
    assert_eq!(brief(&wire.segments), ["/t0 200"]);
    // The number of a reset may be made up.
    let reset = wire.segments.iter_mut().find(|segment| segment.flags & RST != 0).expect("a reset");
    reset.seq = reset.seq.wrapping_add(1 << 31);
    let reset = reset.clone();
    wire.segments.retain(|segment| *segment != reset);
    wire.segments.push(reset);
    assert_eq!(brief(&wire.segments), ["/t0 200"]);
}

#[test]
fn a_lost_packet_is_a_gap_and_the_next_message_is_read() {
    let plain = dialogue(3, &[100_000], 5, 6);
    // Handshake, then questions and answers in turn.
    let without = |place: usize| {
        let mut segments = plain.clone();
        segments.remove(place);
        brief(&segments)
    };
    assert_eq!(without(3), ["- 200", "/t1 201", "/t2 202"]);
    assert_eq!(without(4), ["/t0 -", "/t1 201", "/t2 202"]);
    let mut pieces = dialogue(2, &[100], 5, 6);
    let body = pieces.iter().position(|segment| segment.from_client && segment.data.ends_with(b"}")).expect("a body");
    pieces.remove(body);
    assert_eq!(brief(&pieces)[1..], ["/t1 201"]);
}

#[test]
fn what_the_snap_length_cut_is_told() {
    let mut segments = dialogue(2, &[100_000], 5, 6);
    segments[4].cut = 10;
    assert_eq!(brief(&segments), ["/t0 200!", "/t1 201"]);
    segments[3].cut = 5;
    assert_eq!(brief(&segments), ["/t0! 200!", "/t1 201"]);
}

#[test]
fn directions_one_after_the_other_are_put_together() {
    let plain = dialogue(3, &[30], 5, 6);
    let mut segments: Vec<Segment> = plain[..3].to_vec();
    segments.extend(plain[3..].iter().filter(|segment| segment.from_client).cloned());
    segments.extend(plain[3..].iter().filter(|segment| !segment.from_client).cloned());
    assert_eq!(brief(&segments), ["/t0 200", "/t1 201", "/t2 202"]);
}
