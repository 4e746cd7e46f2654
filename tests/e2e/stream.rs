//! Captures that come as they happen: how soon results appear, key logs that grow meanwhile, and signals.

use crate::run::{Folder, address, shipped};
use crate::running::{PATIENCE, Running};
use crate::support::file::{PcapNg, Resolution, pcap};
use crate::support::http::{Turn, get, ok, over_tls};
use crate::support::link::Link;
use crate::support::packet::Packet;
use crate::support::tcp::{Connection, payload_len};
use crate::support::tls::Authority;
use crate::support::{MS, Order, Way};
use flate2::write::GzEncoder;
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

const AT: i64 = 1_700_000_000_000_000_000;
/// What the design promises, from the last packet to the line.
const PROMISED: Duration = Duration::from_millis(200);
/// A stable value of the demo's device profile.
const ANDROID_ID: &str = "b7c1e5420d9fa683";

fn header() -> Vec<u8> {
    pcap(Order::Little, Resolution::Nanos, Link::Ethernet, "", &[])
}

fn record(packet: &Packet) -> Vec<u8> {
    let whole = pcap(Order::Little, Resolution::Nanos, Link::Ethernet, "", std::slice::from_ref(packet));
    whole[header().len()..].to_vec()
}

/// The start of a conversation: handshake and a request that ends with the last data packet.
fn asked(number: u16) -> Connection {
    let client = address(&format!("10.0.0.2:{}", 20_000 + number));
    let mut connection = Connection::open(client, address("203.0.113.9:80"), None, AT + i64::from(number) * 500 * MS);
    connection.send(Way::ToServer, &get("api.lvtu.example", &format!("/{number}?aid={ANDROID_ID}"), &[]));
    connection
}

fn last_data(packets: &[Packet], way: Way) -> usize {
    packets.iter().rposition(|packet| packet.way == way && payload_len(packet) > 0).expect("data")
}

/// All but a hundredth took less; how long it took is shown with `--no-capture`.
#[expect(clippy::print_stderr, reason = "the figures are worth reading")]
fn assert_p99(mut times: Vec<Duration>, what: &str) {
    times.sort();
    let p99 = times[(times.len() * 99).div_ceil(100) - 1];
    eprintln!("{what}: median {:?}, p99 {p99:?}, slowest {:?}", times[times.len() / 2], times[times.len() - 1]);
    assert!(p99 < PROMISED, "{what}: p99 {p99:?}");
}

fn emitting<'a>(what: &'a str, threads: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["replay", "-", "--format", "ndjson", "--emit", what, "--threads", threads];
    args.extend(more);
    args
}

#[test]
fn an_observation_appears_with_the_last_packet_of_its_request_though_no_answer_comes() {
    let profile = shipped("device.toml");
    for threads in ["1", "2"] {
        let mut run = Running::start(&emitting("observations", threads, &["--profile", &profile]));
        run.write(&header());
        let mut times = Vec::new();
        for number in 0..120 {
            let connection = asked(number);
            let last = last_data(&connection.packets, Way::ToServer);
            connection.packets[..last].iter().for_each(|packet| _ = run.write(&record(packet)));
            let written = run.write(&record(&connection.packets[last]));
            let (came, line) = run.line();
            assert!(line.contains("\"android_id\""), "{line}");
            times.push(came.saturating_duration_since(written));
        }
        // The first waits for the program to start.
        times.remove(0);
        assert_p99(times, &format!("observations, {threads} threads"));
        run.close();
        assert!(run.wait().success());
    }
}

#[test]
fn an_exchange_appears_with_the_last_packet_of_its_answer() {
    for threads in ["1", "2"] {
        let mut run = Running::start(&emitting("exchanges", threads, &[]));
        run.write(&header());
        let mut times = Vec::new();
        for number in 0..120 {
            let mut connection = asked(number);
            connection.send(Way::ToClient, &ok("{}"));
            let last = last_data(&connection.packets, Way::ToClient);
            connection.packets[..last].iter().for_each(|packet| _ = run.write(&record(packet)));
            let written = run.write(&record(&connection.packets[last]));
            let (came, line) = run.line();
            assert!(line.contains(&format!("/{number}?aid=")) && line.contains("\"status\":200"), "{line}");
            times.push(came.saturating_duration_since(written));
        }
        times.remove(0);
        assert_p99(times, &format!("exchanges, {threads} threads"));
        run.close();
        assert!(run.wait().success());
    }
}

/// Streams five answered requests through `encode`, which gives the bytes to write after each packet.
fn stream(what: &str, start: &[u8], encode: &mut dyn FnMut(&Packet) -> Vec<u8>) {
    let mut run = Running::start(&emitting("exchanges", "2", &[]));
    run.write(start);
    let mut times = Vec::new();
    for number in 0..5 {
        let mut connection = asked(number);
        connection.send(Way::ToClient, &ok("{}"));
        let last = last_data(&connection.packets, Way::ToClient);
        let mut written = Instant::now();
        for packet in &connection.packets[..=last] {
            written = run.write(&encode(packet));
        }
        let (came, line) = run.line();
        assert!(line.contains(&format!("/{number}?aid=")), "{line}");
        times.push(came.saturating_duration_since(written));
    }
    times.remove(0);
    assert_p99(times, what);
    run.close();
    assert!(run.wait().success());
}

#[test]
fn pcapng_and_compressed_streams_that_are_flushed_are_as_quick() {
    let mut file = PcapNg::new(Order::Little);
    let interface = file.interface(Link::Ethernet, Some(9));
    let start = file.take();
    stream("pcapng", &start, &mut |packet| {
        file.packet(interface, packet);
        file.take()
    });

    let mut gzip = GzEncoder::new(header(), flate2::Compression::fast());
    // What was put there by hand is compressed first.
    let plain = std::mem::take(gzip.get_mut());
    let mut flushed = |bytes: &[u8]| {
        gzip.write_all(bytes).expect("memory takes all");
        gzip.flush().expect("memory takes all");
        std::mem::take(gzip.get_mut())
    };
    let start = flushed(&plain);
    stream("gzip", &start, &mut |packet| flushed(&record(packet)));

    let mut zstandard = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("a level");
    let mut flushed = |bytes: &[u8]| {
        zstandard.write_all(bytes).expect("memory takes all");
        zstandard.flush().expect("memory takes all");
        std::mem::take(zstandard.get_mut())
    };
    let start = flushed(&header());
    stream("zstd", &start, &mut |packet| flushed(&record(packet)));
}

#[test]
fn a_record_cut_anywhere_keeps_no_whole_packet_waiting() {
    let mut run = Running::start(&emitting("exchanges", "1", &[]));
    let head = header();
    run.write(&head[..7]);
    thread::sleep(Duration::from_millis(20));
    run.write(&head[7..]);
    // The beginning of the next record comes with the end of each answer, cut at every place of its header and beyond.
    let mut ahead = 0;
    for (number, cut) in (0..).zip([1, 2, 3, 4, 7, 8, 11, 12, 15, 16, 17, 30, 69, 70]) {
        let mut connection = asked(number);
        connection.send(Way::ToClient, &ok("{}"));
        let last = last_data(&connection.packets, Way::ToClient);
        let records: Vec<u8> = connection.packets[..=last].iter().flat_map(record).collect();
        let next = record(&asked(number + 1).packets[0]);
        let cut = usize::min(cut, next.len() - 1);
        let written = run.write(&[&records[ahead..], &next[..cut]].concat());
        let (came, line) = run.line();
        assert!(line.contains(&format!("/{number}?aid=")), "{line}");
        assert!(came.saturating_duration_since(written) < PROMISED * 5, "cut {cut}");
        ahead = cut;
    }
    run.close();
    assert!(run.wait().success());
    let (_, errors) = run.rest();
    assert!(errors.contains("cut off inside a record"), "{errors}");
}

/// A TLS 1.3 conversation and its key log.
fn secret(number: u16) -> (Vec<Packet>, String) {
    let ends = (address(&format!("10.0.0.2:{}", 30_000 + number)), address("203.0.113.9:443"));
    let request = get("api.lvtu.example", &format!("/{number}"), &[]);
    let turns = [Turn { request, response: ok("{}") }];
    let at = AT + i64::from(number) * 5_000 * MS;
    over_tls(&Authority::new(), ("api.lvtu.example", 0), ends, None, at, &turns)
}

fn append(path: &str, text: &str) -> Instant {
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("a file");
    file.write_all(text.as_bytes()).expect("room");
    Instant::now()
}

fn assert_opened(run: &Running, number: u16, written: Instant) -> Duration {
    let (came, line) = run.line();
    let exchange: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(exchange["path"], format!("/{number}"));
    assert_eq!(exchange["tls"]["keys"], "keylog");
    came.saturating_duration_since(written)
}

#[test]
fn keys_that_are_logged_after_the_traffic_open_it_though_no_packet_follows() {
    for threads in ["1", "2"] {
        let folder = Folder::new();
        let (file, inner) = (folder.path("keys.log"), folder.path("logs"));
        fs::create_dir(&inner).expect("a folder");
        let mut run = Running::start(&emitting("exchanges", threads, &["--keys", &file, "--keys", &inner]));
        run.write(&header());
        let (first, first_keys) = secret(0);
        let (second, second_keys) = secret(1);
        let (third, third_keys) = secret(2);
        for packet in first.iter().chain(&second).chain(&third) {
            run.write(&record(packet));
        }
        assert!(run.is_silent_for(Duration::from_millis(300)), "no key is known yet");
        // A file that was not there, with lines that end in the middle.
        let needed = first_keys.find("SERVER_TRAFFIC_SECRET_0").expect("TLS 1.3");
        let (some, rest) = first_keys.split_at(needed + 100);
        append(&file, some);
        assert!(run.is_silent_for(Duration::from_millis(200)), "the last line has not ended");
        let mut times = vec![assert_opened(&run, 0, append(&file, rest))];
        // A new file in a folder.
        times.push(assert_opened(&run, 1, append(&format!("{inner}/second.log"), &second_keys)));
        // The first file replaced by another.
        fs::rename(&file, folder.path("old.log")).expect("the same folder");
        times.push(assert_opened(&run, 2, append(&file, &third_keys)));
        assert_p99(times, &format!("keys after the traffic, {threads} threads"));
        run.close();
        assert!(run.wait().success());
        let (_, errors) = run.rest();
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.contains("keys.log: not there yet"), "{errors}");
    }
}

#[test]
fn keys_that_are_logged_at_any_moment_of_a_session_open_it_at_once() {
    let folder = Folder::new();
    let file = folder.file("keys.log", b"");
    let mut run = Running::start(&emitting("exchanges", "2", &["--keys", &file]));
    run.write(&header());
    let mut number = 0;
    // The lines of the handshake first, those of the data later, each at any place between the packets.
    let mut places = vec![];
    for first in 0..20 {
        places.extend([(first, first), (first, first + 1), (first, first + 3)]);
    }
    for (first, second) in places {
        let (packets, keys) = secret(number);
        let last = last_data(&packets, Way::ToClient);
        // The alerts that close the session follow the answer.
        let packets = &packets[..=last];
        let (early, late): (Vec<&str>, Vec<&str>) = keys.lines().partition(|line| line.contains("HANDSHAKE"));
        let text = |lines: &[&str]| lines.iter().fold(String::new(), |text, line| text + line + "\n");
        let (first, second) = (first.min(packets.len()), second.min(packets.len()));
        let mut written = Instant::now();
        for (at, packet) in packets.iter().enumerate() {
            for (place, lines) in [(first, &early), (second, &late)] {
                if place == at {
                    append(&file, &text(lines));
                    thread::sleep(Duration::from_millis(70));
                }
            }
            written = run.write(&record(packet));
        }
        for (place, lines) in [(first, &early), (second, &late)] {
            if place == packets.len() {
                written = append(&file, &text(lines));
            }
        }
        let took = assert_opened(&run, number, written);
        assert!(took < PROMISED * 5, "keys before packets {first} and {second} of {}: {took:?}", packets.len());
        number += 1;
    }
    run.close();
    assert!(run.wait().success());
}

/// The lines of a key log with this label.
fn lines_of(keys: &str, label: &str) -> String {
    keys.lines().filter(|line| line.starts_with(label)).fold(String::new(), |text, line| text + line + "\n")
}

/// Streams sessions whose answers have come, then appends the lines of these labels one after the other; gives what was
/// printed after each.
fn keys_by_labels(what: &str, labels: &[&str]) -> Vec<Vec<String>> {
    let folder = Folder::new();
    let file = folder.file("keys.log", b"");
    let profile = shipped("device.toml");
    let mut run = Running::start(&emitting(what, "2", &["--keys", &file, "--profile", &profile]));
    run.write(&header());
    let (packets, keys) = identifying_secret();
    let last = last_data(&packets, Way::ToClient);
    packets[..=last].iter().for_each(|packet| _ = run.write(&record(packet)));
    assert!(run.is_silent_for(Duration::from_millis(200)), "no key is known yet");
    let mut printed = Vec::new();
    for label in labels {
        let written = append(&file, &lines_of(&keys, label));
        let mut lines = Vec::new();
        while let Some((came, line)) = run.line_within(Duration::from_millis(600)) {
            assert!(came.saturating_duration_since(written) < PROMISED * 5, "{label}: {line}");
            lines.push(line);
        }
        printed.push(lines);
    }
    run.close();
    assert!(run.wait().success());
    printed
}

fn identifying_secret() -> (Vec<Packet>, String) {
    let ends = (address("10.0.0.2:30000"), address("203.0.113.9:443"));
    let request = get("api.lvtu.example", &format!("/0?aid={ANDROID_ID}"), &[]);
    let turns = [Turn { request, response: ok("{}") }];
    over_tls(&Authority::new(), ("api.lvtu.example", 0), ends, None, AT, &turns)
}

const LATE: [&str; 2] = ["CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"];

#[test]
fn secrets_of_the_application_data_alone_open_it_though_they_come_late() {
    let printed = keys_by_labels("exchanges", &["NOTHING", LATE[0], LATE[1]]);
    assert!(printed[0].is_empty() && printed[1].is_empty(), "{printed:?}");
    assert!(printed[2].len() == 1 && printed[2][0].contains("\"status\":200"), "{printed:?}");
    let printed = keys_by_labels("exchanges", &[LATE[1], LATE[0]]);
    assert!(printed[0].is_empty(), "an answer alone waits for its request: {printed:?}");
    assert!(printed[1].len() == 1 && printed[1][0].contains("\"status\":200"), "{printed:?}");
    assert!(printed[1][0].contains("/0?aid="), "{printed:?}");
}

#[test]
fn requests_are_searched_though_the_secret_of_their_answers_is_missing() {
    let printed = keys_by_labels("observations", &[LATE[0], "SERVER_HANDSHAKE", LATE[1]]);
    assert!(printed[0].len() == 1 && printed[0][0].contains("android_id"), "{printed:?}");
    assert!(printed[1].is_empty() && printed[2].is_empty(), "nothing is told twice: {printed:?}");
}

#[test]
fn keys_of_a_block_behind_the_traffic_open_it_though_no_packet_follows() {
    let (packets, keys) = secret(0);
    let mut file = PcapNg::new(Order::Little);
    let interface = file.interface(Link::Ethernet, Some(9));
    packets.iter().for_each(|packet| file.packet(interface, packet));
    let mut run = Running::start(&emitting("exchanges", "2", &[]));
    run.write(&file.take());
    assert!(run.is_silent_for(Duration::from_millis(200)));
    file.secrets(&keys);
    let written = run.write(&file.take());
    let (came, line) = run.line();
    assert!(line.contains("\"keys\":\"dsb\""), "{line}");
    assert!(came.saturating_duration_since(written) < PROMISED * 5);
    run.close();
    assert!(run.wait().success());
}

/// A little-endian pcapng file without its secrets, and those.
fn without_secrets(file: &[u8]) -> (Vec<u8>, String) {
    let (mut rest, mut blocks, mut secrets) = (file, Vec::new(), String::new());
    let number = |at: &[u8]| u32::from_le_bytes(at[..4].try_into().expect("four bytes"));
    while rest.len() >= 12 {
        let (block, after) = rest.split_at(usize::try_from(number(&rest[4..])).expect("a length"));
        if number(block) == 10 {
            let len = usize::try_from(number(&block[12..])).expect("a length");
            secrets += &String::from_utf8_lossy(&block[16..16 + len]);
        } else {
            blocks.extend_from_slice(block);
        }
        rest = after;
    }
    (blocks, secrets)
}

#[test]
fn keys_after_the_traffic_open_quic_connections_of_real_captures() {
    for name in ["quiclog-ngtcp2-29-dsb", "ndpi-quic-v2"] {
        let shared = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/captures-real");
        let Ok(capture) = fs::read(format!("{shared}/{name}.pcapng")) else {
            eprintln!("skipped: ../shared not found");
            return;
        };
        let (blocks, secrets) = without_secrets(&capture);
        let folder = Folder::new();
        let file = folder.file("keys.log", b"");
        let mut run = Running::start(&emitting("exchanges", "2", &["--keys", &file]));
        run.write(&blocks);
        assert!(run.is_silent_for(Duration::from_millis(400)), "no key is known yet");
        let written = append(&file, &secrets);
        let (came, line) = run.line();
        assert!(line.contains("\"h3\"") && line.contains("\"keys\":\"keylog\""), "{line}");
        assert!(came.saturating_duration_since(written) < PROMISED * 5);
        run.close();
        assert!(run.wait().success());
    }
}

#[cfg(unix)]
#[test]
fn a_key_log_may_be_a_named_pipe() {
    let folder = Folder::new();
    let pipe = folder.path("keys.fifo");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there");
    assert!(made.success());
    let mut run = Running::start(&emitting("exchanges", "1", &["--keys", &pipe]));
    run.write(&header());
    for number in 0..2 {
        let (packets, keys) = secret(number);
        packets.iter().for_each(|packet| _ = run.write(&record(packet)));
        assert!(run.is_silent_for(Duration::from_millis(100)));
        // Each writer opens the pipe and closes it again.
        let mut writer = OpenOptions::new().write(true).open(&pipe).expect("the program has it open");
        writer.write_all(keys.as_bytes()).expect("the program reads");
        drop(writer);
        assert_opened(&run, number, Instant::now());
    }
    run.close();
    assert!(run.wait().success());
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_stream_that_never_ends_with_the_whole_report() {
    for (signal, format) in [("INT", "json"), ("TERM", "text"), ("INT", "ndjson"), ("HUP", "json")] {
        let profile = shipped("device.toml");
        let mut run = Running::start(&["replay", "-", "--format", format, "--profile", &profile, "--fail-on", "low"]);
        run.write(&header());
        asked(0).packets.iter().for_each(|packet| _ = run.write(&record(packet)));
        run.await_handlers();
        let started = Instant::now();
        run.signal(signal);
        let status = run.wait();
        assert!(started.elapsed() < PATIENCE / 4, "{:?}", started.elapsed());
        assert_eq!(status.code(), Some(1), "as a replay with findings ends");
        let (printed, errors) = run.rest();
        assert!(printed.contains("android_id"), "{format}: {printed}");
        assert_eq!(errors, "");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_run_that_has_not_seen_a_byte() {
    let mut run = Running::start(&["replay", "-", "--format", "json"]);
    run.await_handlers();
    run.signal("INT");
    assert_eq!(run.wait().code(), Some(0));
    let (printed, errors) = run.rest();
    assert!(printed.contains("divulge.report/1"), "{printed}");
    assert!(errors.contains("holds no frames"), "{errors}");
}

#[cfg(unix)]
#[test]
fn the_second_signal_kills() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};
    // Nobody reads what it prints, so it cannot end in order.
    let mut command = Command::new(env!("CARGO_BIN_EXE_divulge"));
    command.args(emitting("exchanges", "1", &[])).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("piped");
    let writer = thread::spawn(move || {
        let mut bytes = header();
        for number in 0..2_000 {
            let mut connection = asked(number);
            connection.send(Way::ToClient, &ok("{}"));
            bytes.extend(connection.packets.iter().flat_map(record));
        }
        // The pipe breaks when the program is killed.
        input.write_all(&bytes).is_ok()
    });
    // It has begun to print, and will soon wait for someone to read more.
    child.stdout.as_mut().expect("piped").read_exact(&mut [0]).expect("a first byte");
    let started = Instant::now();
    let mut status = None;
    while status.is_none() && started.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(500));
        let sent = Command::new("kill").arg("-INT").arg(child.id().to_string()).status();
        assert!(sent.expect("kill is there").success());
        status = child.try_wait().expect("a child can be waited for");
    }
    assert_eq!(status.and_then(|status| status.signal()), Some(2));
    child.wait().expect("a child can be waited for");
    writer.join().expect("the writer does not panic");
}

#[test]
fn open_flows_that_stay_closed_are_told_of_while_the_capture_comes_in() {
    use divulge::model::{Frame, LinkType, OpaqueReason, Timestamp};
    use divulge::pipeline::{Event, LateKeys, Pipeline, Settings};
    let (packets, _) = secret(0);
    let last = last_data(&packets, Way::ToClient);
    let mut pipeline = Pipeline::new(&Settings { late_keys: LateKeys::Possible, ..Settings::default() });
    let (mut told, mut ended) = (Vec::new(), Vec::new());
    for (number, packet) in (1..).zip(&packets[..=last]) {
        let data = Link::Ethernet.frame(packet, "");
        pipeline.handle_frame(&Frame {
            number,
            ts: Timestamp::from_nanos(packet.ts),
            link: LinkType(1),
            data: &data,
            original_len: u32::try_from(data.len()).expect("a short frame"),
            app: None,
        });
        while let Some(event) = pipeline.poll_event() {
            if let Event::Open(flow) = event {
                told.push((flow.tls.as_ref().and_then(|tls| tls.sni.clone()), flow.opaque_reason));
            }
        }
    }
    assert_eq!(told.first(), Some(&(Some("api.lvtu.example".to_owned()), None)));
    assert_eq!(told.last().expect("told").1, Some(OpaqueReason::NoKey));
    pipeline.finish();
    while let Some(event) = pipeline.poll_event() {
        match event {
            Event::Open(_) => panic!("it has ended"),
            Event::Flow(flow) => ended.push(flow.opaque_reason),
            _ => {}
        }
    }
    assert_eq!(ended, [Some(OpaqueReason::NoKey)]);
}
