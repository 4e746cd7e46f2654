//! QUIC connections of both ends of rustls, as frames through the whole engine.

use super::{Event, Exchanges, FlowSummary, LateKeys, Pipeline, Settings};
use crate::http::h3::encoder::{data, frame, headers, insert, status};
use crate::model::{
    Direction, Exchange, Frame, KeySource, LinkType, NameProtocol, OpaqueReason, SeenName, Timestamp, Weird,
};
use crate::quic::tests::peer::{Dialogue, ToClient, ToServer, usual, usual_of};
use crate::tls::KeyLog;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// A datagram: the client's port, which way, and its bytes.
type Datagram = (u16, Direction, Vec<u8>);

const PORT: u16 = 40_000;

/// Packets of a connection as they are sent.
struct Sender {
    dialogue: Dialogue,
    port: u16,
    offsets: BTreeMap<(u8, usize), usize>,
    sent: Vec<Datagram>,
}

impl Sender {
    fn new(mut dialogue: Dialogue) -> Self {
        let sent = dialogue.handshake().into_iter().map(|(way, bytes)| (PORT, way, bytes)).collect();
        Self { dialogue, port: PORT, offsets: BTreeMap::new(), sent }
    }

    fn bytes(&mut self, way: Direction, id: u8, bytes: &[u8], fin: bool) {
        let offset = self.offsets.entry((id, way.index())).or_default();
        let packet = self.dialogue.stream(way, id, *offset, bytes, fin);
        *offset += bytes.len();
        self.sent.push((self.port, way, packet));
    }
}

/// A request whose path stands in the dynamic table, and one with trailers from it; keys are updated between them, and
/// the client's address changes before the second.
fn conversation(sender: &mut Sender) {
    let section = |lines: &[u8], required: u8| frame(1, &[&[required + 1, 0], lines].concat());
    sender.bytes(ToClient, 3, &[vec![0], frame(4, &[1, 0x50, 0])].concat(), false);
    sender.bytes(ToServer, 2, &[vec![0], frame(4, &[])].concat(), false);
    sender.bytes(ToServer, 0, &section(&[0xd1, 0xd7, 0x80], 1), true);
    sender.bytes(ToServer, 6, &[vec![2, 0x3f, 0xe1, 0x1f], insert(":path", "/dynamic?imei=1")].concat(), false);
    sender.bytes(ToClient, 0, &status("200"), true);
    sender.dialogue.update(ToServer);
    sender.dialogue.update(ToClient);
    sender.port += 1;
    sender.bytes(ToServer, 4, &section(&[0xd4, 0x80], 1), false);
    sender.bytes(ToServer, 4, &data(b"body of the request"), false);
    sender.bytes(ToServer, 6, &insert("x-sum", "77"), false);
    sender.bytes(ToServer, 4, &section(&[0x80], 2), true);
    sender.bytes(ToClient, 4, &[status("200"), data(b"answer")].concat(), true);
}

const READ: [&str; 2] =
    ["GET /dynamic?imei=1 [] -> 200 []", "POST /dynamic?imei=1 x-sum=77 [body of the request] -> 200 [answer]"];

/// The datagrams of one conversation, and its key log.
fn recorded() -> &'static (Vec<Datagram>, String) {
    static RECORDED: OnceLock<(Vec<Datagram>, String)> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let mut sender = Sender::new(usual());
        conversation(&mut sender);
        let log = sender.dialogue.key_log().to_owned();
        (sender.sent, log)
    })
}

/// An IPv4 packet of UDP.
fn packet(port: u16, way: Direction, payload: &[u8]) -> Vec<u8> {
    let (client, server) = ([10, 0, 0, 1], [203, 0, 113, 7]);
    let ((from, from_port), (to, to_port)) = match way {
        ToServer => ((client, port), (server, 443)),
        ToClient => ((server, 443), (client, port)),
    };
    let len = |head: usize| u16::try_from(head + payload.len()).expect("a short packet").to_be_bytes();
    let ip = [&[0x45, 0][..], &len(28), &[0, 0, 0, 0, 64, 17, 0, 0], &from, &to].concat();
    let udp = [&from_port.to_be_bytes()[..], &to_port.to_be_bytes(), &len(8), &[0, 0]].concat();
    [&ip[..], &udp, payload].concat()
}

/// What came out.
#[derive(Default)]
struct Seen {
    asked: Vec<String>,
    exchanges: Vec<Exchange>,
    names: Vec<SeenName>,
    flows: Vec<FlowSummary>,
    weirds: Vec<Weird>,
}

impl Seen {
    fn drain(&mut self, pipeline: &mut Pipeline) {
        while let Some(event) = pipeline.poll_event() {
            match event {
                Event::Asked(exchange, _) => self.asked.push(line(&exchange)),
                Event::Exchange(exchange) => self.exchanges.push(*exchange),
                Event::Name(name) => self.names.push(name),
                Event::Flow(flow) => self.flows.push(*flow),
                Event::Weird(weird) => self.weirds.push(weird),
                Event::Observed(_) | Event::Ended | Event::Rendered(_) | Event::Open(_) => {}
            }
        }
    }

    fn sorted(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.exchanges.iter().map(line).collect();
        lines.sort();
        lines
    }
}

fn line(exchange: &Exchange) -> String {
    let request = exchange.request.as_ref().map_or("-".to_owned(), |request| {
        let fields = request.headers.iter().map(|(name, value)| [name, b"=", value, b" "].concat());
        let fields: String = fields.map(|field| String::from_utf8_lossy(&field).into_owned()).collect();
        let body = String::from_utf8_lossy(&request.body.data);
        let cut = if request.body.complete { "" } else { "…" };
        format!("{} {} {fields}[{body}{cut}]", request.method, request.target_text())
    });
    let response = exchange.response.as_ref().map_or("-".to_owned(), |response| {
        let cut = if response.body.complete { "" } else { "…" };
        format!("{} [{}{cut}]", response.status, String::from_utf8_lossy(&response.body.data))
    });
    format!("{request} -> {response}")
}

fn pipeline(log: &str, late_keys: LateKeys) -> Pipeline {
    let mut keys = KeyLog::new();
    assert_eq!(keys.add_text(KeySource::Keylog, log.as_bytes()), []);
    Pipeline::new(&Settings { keys: Arc::new(keys), late_keys, exchanges: Exchanges::Kept, ..Settings::default() })
}

fn feed(pipeline: &mut Pipeline, datagrams: &[Datagram], seen: &mut Seen) {
    for (number, (port, way, payload)) in (1u32..).zip(datagrams) {
        let data = packet(*port, *way, payload);
        pipeline.handle_frame(&Frame {
            number: number.into(),
            ts: Timestamp::from_nanos(i64::from(number) * 1_000_000),
            link: LinkType(101),
            data: &data,
            original_len: u32::try_from(data.len()).expect("a short frame"),
            app: None,
        });
        seen.drain(pipeline);
    }
}

fn run(log: &str, datagrams: &[Datagram]) -> Seen {
    let (mut pipeline, mut seen) = (pipeline(log, LateKeys::Never), Seen::default());
    feed(&mut pipeline, datagrams, &mut seen);
    pipeline.finish();
    seen.drain(&mut pipeline);
    seen
}

#[test]
fn http3_is_read_through_a_key_update_and_a_new_address_of_the_client() {
    let (datagrams, log) = recorded();
    let seen = run(log, datagrams);
    assert_eq!(seen.sorted(), READ);
    assert_eq!(seen.weirds, []);
    assert_eq!(seen.asked.len(), 2);
    let names: Vec<_> = seen.names.iter().map(|name| (&name.name[..], name.protocol)).collect();
    assert_eq!(names, [("app.example.com", NameProtocol::Quic)]);
    let tls = seen.exchanges[1].tls.as_ref().expect("a session");
    assert_eq!((tls.alpn.as_deref(), tls.keys), (Some("h3"), Some(KeySource::Keylog)));
    let ids: Vec<_> = seen.exchanges.iter().map(|exchange| exchange.id.to_string()).collect();
    assert_eq!(ids, ["1.0", "1.1"], "the connection is still that of the first flow");
    let flows: Vec<_> = seen.flows.iter().map(|flow| (flow.id.0, flow.exchanges, flow.opaque_bytes)).collect();
    assert_eq!(flows, [(2, 0, 0), (1, 2, 0)]);
    let total: usize = datagrams.iter().map(|(.., bytes)| bytes.len()).sum();
    assert_eq!(seen.flows.iter().map(|flow| flow.bytes).sum::<u64>(), total as u64);
    assert_eq!(seen.flows[0].host.as_ref().map(|(host, _)| &**host), Some("app.example.com"));
}

#[test]
fn without_keys_the_name_is_told_and_the_rest_counts_as_closed() {
    let (datagrams, _) = recorded();
    let seen = run("", datagrams);
    assert_eq!((seen.exchanges.len(), seen.names.len()), (0, 1));
    for flow in &seen.flows {
        assert_eq!((flow.opaque_bytes, flow.opaque_reason), (flow.bytes, Some(OpaqueReason::NoKey)), "{}", flow.id);
    }
}

#[test]
fn packets_cut_by_the_capture_are_no_matter_of_keys() {
    let (datagrams, log) = recorded();
    let (mut pipeline, mut seen) = (pipeline(log, LateKeys::Never), Seen::default());
    for (number, (_, way, payload)) in (1u32..).zip(datagrams) {
        let data = packet(PORT, *way, payload);
        // All but the handshake.
        let len = if payload[0] & 0x80 == 0 { data.len() - 6 } else { data.len() };
        pipeline.handle_frame(&Frame {
            number: number.into(),
            ts: Timestamp::from_nanos(i64::from(number) * 1_000_000),
            link: LinkType(101),
            data: &data[..len],
            original_len: u32::try_from(data.len()).expect("a short frame"),
            app: None,
        });
        seen.drain(&mut pipeline);
    }
    pipeline.finish();
    seen.drain(&mut pipeline);
    assert_eq!((seen.names.len(), seen.exchanges.len()), (1, 0));
    assert_eq!(seen.flows[0].opaque_reason, Some(OpaqueReason::Truncated));
    assert!(seen.weirds.iter().all(|weird| weird.reason.contains("cut")), "{:?}", seen.weirds);
}

#[test]
fn keys_may_come_after_the_packets() {
    let (datagrams, log) = recorded();
    let (mut pipeline, mut seen) = (pipeline("", LateKeys::Possible), Seen::default());
    feed(&mut pipeline, datagrams, &mut seen);
    assert!(seen.exchanges.is_empty());
    assert_eq!(pipeline.handle_keys(KeySource::Dsb, log.as_bytes()), []);
    pipeline.finish();
    seen.drain(&mut pipeline);
    assert_eq!(seen.sorted(), READ);
    assert_eq!(seen.names.len(), 1);
    assert!(seen.flows.iter().all(|flow| flow.opaque_bytes == 0));
}

#[test]
fn keys_that_come_line_by_line_anywhere_open_what_they_can_at_once() {
    let (datagrams, log) = recorded();
    let lines: Vec<&str> = log.lines().collect();
    let orders = [lines.clone(), lines.iter().rev().copied().collect::<Vec<_>>()];
    for (order, at) in orders.iter().flat_map(|order| (0..=datagrams.len()).map(move |at| (order, at))) {
        let (mut pipeline, mut seen) = (pipeline("", LateKeys::Possible), Seen::default());
        feed(&mut pipeline, &datagrams[..at], &mut seen);
        for (number, line) in order.iter().enumerate() {
            assert_eq!(pipeline.handle_keys(KeySource::Keylog, format!("{line}\n").as_bytes()), []);
            pipeline.use_keys();
            seen.drain(&mut pipeline);
            // The next datagrams may come between two lines.
            let next = at + number;
            feed(&mut pipeline, datagrams.get(next..=next).unwrap_or_default(), &mut seen);
        }
        feed(&mut pipeline, datagrams.get(at + order.len()..).unwrap_or_default(), &mut seen);
        assert_eq!(seen.asked.len(), 2, "before datagram {at}, before the end");
        assert_eq!(seen.sorted(), READ, "before datagram {at}, before the end");
        pipeline.finish();
        seen.drain(&mut pipeline);
        assert!(seen.flows.iter().all(|flow| flow.opaque_bytes == 0), "before datagram {at}");
    }
}

#[test]
fn connections_may_follow_each_other_on_one_five_tuple() {
    let (mut datagrams, log) = recorded().clone();
    let mut dialogue = usual();
    (dialogue.first_dcid, dialogue.cids) = (vec![0x77; 8], [vec![0x78; 8], vec![0x79; 5]]);
    let mut sender = Sender::new(dialogue);
    conversation(&mut sender);
    datagrams.iter_mut().chain(&mut sender.sent).for_each(|(port, ..)| *port = PORT);
    let log = format!("{log}{}", sender.dialogue.key_log());
    let twice: Vec<_> = READ.iter().flat_map(|line| [line, line]).copied().collect();
    let one_after_the_other = run(&log, &[&datagrams[..], &sender.sent].concat());
    assert_eq!(one_after_the_other.sorted(), twice);
    let mut ids: Vec<_> = one_after_the_other.exchanges.iter().map(|exchange| exchange.id.to_string()).collect();
    ids.sort();
    assert_eq!(ids, ["1.0", "1.1", "1.2", "1.3"]);
    let both: Vec<_> =
        datagrams.iter().zip(&sender.sent).flat_map(|(one, other)| [one.clone(), other.clone()]).collect();
    assert_eq!(run(&log, &both).sorted(), twice);
}

#[test]
fn websockets_and_tunnels_inside_http3_are_read() {
    let connect =
        |more: &[(&str, &str)]| headers(&[&[(":method", "CONNECT"), (":authority", "a.example")], more].concat());
    let mut sender = Sender::new(usual());
    sender.bytes(ToServer, 0, &connect(&[(":protocol", "websocket"), (":scheme", "https"), (":path", "/chat")]), false);
    sender.bytes(ToServer, 4, &connect(&[]), false);
    sender.bytes(ToClient, 0, &status("200"), false);
    sender.bytes(ToClient, 4, &status("200"), false);
    sender.bytes(ToServer, 0, &data(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']), false);
    sender.bytes(ToServer, 4, &data(b"GET /inside HTTP/1.1\r\nHost: b.example\r\n\r\n"), false);
    sender.bytes(ToClient, 4, &data(b"HTTP/1.1 204 No Content\r\n\r\n"), true);
    let seen = run(sender.dialogue.key_log(), &sender.sent);
    let expected = [
        " /chat [hi] -> -",
        "CONNECT /chat [] -> 200 [",
        "CONNECT a.example [] -> 200 [",
        "GET /inside Host=b.example [] -> 204 [",
    ];
    let lines = seen.sorted();
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, begin) in lines.iter().zip(expected) {
        assert!(line.starts_with(begin), "{line:?} {begin:?}");
    }
    let mut ids: Vec<_> = seen.exchanges.iter().map(|exchange| exchange.id.index).collect();
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 2, 3]);
}

#[test]
fn http_09_over_quic_gives_exchanges() {
    let mut sender = Sender::new(usual_of("hq-interop"));
    sender.bytes(ToServer, 0, b"GET /a", false);
    sender.bytes(ToServer, 0, b"?b=1\r\n", true);
    sender.bytes(ToServer, 4, b"GET /2", true);
    sender.bytes(ToClient, 4, b"two", true);
    sender.bytes(ToClient, 0, b"one", false);
    let seen = run(sender.dialogue.key_log(), &sender.sent);
    assert_eq!(seen.sorted(), ["GET /2 [] -> 0 [two]", "GET /a?b=1 [] -> 0 [one…]"]);
    assert_eq!(seen.asked.len(), 2);
}

#[test]
fn dns_over_quic_tells_names() {
    let mut sender = Sender::new(usual_of("doq"));
    let query = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x03www\x07Example\x03com\0\0\x01\0\x01";
    let message = [&[0, query.len() as u8][..], query].concat();
    sender.bytes(ToServer, 0, &message[..9], false);
    sender.bytes(ToServer, 0, &message[9..], true);
    sender.bytes(ToServer, 4, &message, true);
    let seen = run(sender.dialogue.key_log(), &sender.sent);
    let names: Vec<_> = seen.names.iter().map(|name| &name.name[..]).collect();
    assert_eq!(names, ["app.example.com", "www.Example.com", "www.Example.com"]);
}

#[test]
fn what_nobody_named_is_known_by_how_it_begins() {
    let mut sender = Sender::new(usual_of("transport-x"));
    conversation(&mut sender);
    assert_eq!(run(sender.dialogue.key_log(), &sender.sent).sorted(), READ);
    let mut sender = Sender::new(usual_of("transport-x"));
    sender.bytes(ToServer, 0, &[0x17; 40], true);
    sender.bytes(ToServer, 4, b"uid=861536030196001;hello=world", true);
    let seen = run(sender.dialogue.key_log(), &sender.sent);
    assert!(seen.exchanges.is_empty());
    assert_eq!(seen.flows[0].opaque_reason, Some(OpaqueReason::UnknownProtocol));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_order_of_the_datagrams_within_a_window_gives_the_same_exchanges(
        places in proptest::collection::vec(0usize..6, 64),
    ) {
        let (datagrams, log) = recorded();
        let mut order: Vec<_> = datagrams.iter().zip(&places).enumerate().map(|(at, (datagram, late))| (at + late, datagram)).collect();
        order.sort_by_key(|(at, _)| *at);
        let mixed: Vec<Datagram> = order.into_iter().map(|(_, datagram)| (PORT, datagram.1, datagram.2.clone())).collect();
        let seen = run(log, &mixed);
        prop_assert_eq!(seen.sorted(), READ);
        prop_assert_eq!(seen.asked.len(), 2);
    }
}
