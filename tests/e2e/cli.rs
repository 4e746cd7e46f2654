//! The command line: output of each kind, exit codes, and one clear line for each way an input can be wrong.

use crate::run::{
    Folder, address, assert_one_line, bodies, divulge, divulge_with_input, exchanges, ndjson, report, shipped, status,
    stderr, stdout, summary,
};
use crate::support::demo;
use crate::support::file::{PcapNg, Resolution, pcap};
use crate::support::http::{Turn, clear_text, get, gzip, message, ok, over_tls, post};
use crate::support::link::Link;
use crate::support::packet::Packet;
use crate::support::tcp::{Connection, disordered, one_sided, without_data_segment};
use crate::support::tls::{Authority, SUITES};
use crate::support::{Order, Way};
use serde_json::Value;
use std::fs;
use std::path::Path;

const AT: i64 = 1_697_076_000_000_000_000;

#[test]
fn the_demo_needs_no_argument_and_explains_itself() {
    let output = divulge(&["demo"]);
    assert_eq!(status(&output), 0);
    let text = stdout(&output);
    let head: String = text.lines().take(12).collect::<Vec<_>>().join("\n");
    for word in ["demo", "divulge replay"] {
        assert!(head.contains(word), "no {word} in:\n{head}");
    }
    for word in ["我们不会上传您的剪切板内容", "open.weixin.qq.com", "adflux.example"] {
        assert!(text.contains(word), "no {word} in:\n{text}");
    }
    for secret in [demo::IMEI, demo::PHONE, demo::OAID] {
        assert!(!text.contains(secret), "{secret} is not redacted");
    }
}

#[test]
fn every_file_format_gives_the_same_exchanges() {
    let folder = Folder::new();
    let packets = conversation();
    let mut seen: Vec<(String, Vec<Value>)> = Vec::new();
    for &link in Link::FOR_IPV4 {
        let file = folder.file("a.pcap", &pcap(Order::Little, Resolution::Micros, link, "绿途", &packets));
        seen.push((format!("{link:?}"), exchanges(&[&file])));
    }
    let big = pcap(Order::Big, Resolution::Nanos, Link::Ethernet, "", &packets);
    seen.push(("big-endian".to_owned(), exchanges(&[&folder.file("b.pcap", &big)])));
    seen.push(("gzip".to_owned(), exchanges(&[&folder.file("b.pcap.gz", &gzip(&big))])));
    let zstd = zstd::encode_all(&big[..], 3).expect("memory takes all");
    seen.push(("zstd".to_owned(), exchanges(&[&folder.file("b.pcap.zst", &zstd)])));
    let mut ng = PcapNg::new(Order::Big);
    let interface = ng.interface(Link::Sll2, Some(9));
    packets.iter().for_each(|packet| ng.packet(interface, packet));
    let ng = ng.into_bytes();
    seen.push(("pcapng".to_owned(), exchanges(&[&folder.file("c.pcapng", &ng)])));
    for (name, bytes) in [("pcap on stdin", &big), ("pcapng on stdin", &ng), ("gzip on stdin", &gzip(&ng))] {
        let output = divulge_with_input(&["replay", "-", "--emit", "exchanges", "--format", "ndjson"], bytes);
        assert_eq!(status(&output), 0, "{name}: {}", stderr(&output));
        seen.push((name.to_owned(), ndjson(&output)));
    }
    let reference = summary(&seen[0].1);
    assert_eq!(reference, ["POST api.lvtu.example /a?x=1 201", "GET api.lvtu.example /b 200"]);
    for (name, exchanges) in &seen {
        assert_eq!(summary(exchanges), reference, "{name}");
    }
}

#[test]
fn segments_out_of_order_and_sent_twice_change_nothing() {
    let folder = Folder::new();
    let whole = exchanges(&[&folder.file("a.pcap", &raw(&conversation()))]);
    let torn = exchanges(&[&folder.file("b.pcap", &raw(&disordered(&conversation())))]);
    assert_eq!(bodies(&whole), bodies(&torn));
}

#[test]
fn one_direction_is_enough_for_requests() {
    let folder = Folder::new();
    let file = folder.file("a.pcap", &raw(&one_sided(&conversation(), Way::ToServer)));
    let seen = exchanges(&[&file]);
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|exchange| exchange["response"].is_null()), "{seen:?}");
    assert_eq!(seen[0]["request"]["body"]["bytes"], 5_000);
}

#[test]
fn a_lost_segment_is_told_and_costs_no_other_request() {
    let folder = Folder::new();
    let file = folder.file("a.pcap", &raw(&without_data_segment(&conversation(), Way::ToServer, 1)));
    let seen = exchanges(&[&file]);
    assert_eq!(seen[0]["request"]["body"]["complete"], false, "{:?}", seen[0]);
    assert!(seen.iter().any(|exchange| exchange["path"] == "/b"), "{seen:?}");
}

#[test]
fn every_cipher_suite_opens_with_a_key_log_and_stays_closed_without() {
    let folder = Folder::new();
    let authority = Authority::new();
    for (suite, (offered, _)) in SUITES.iter().enumerate() {
        let ends = (address("10.0.0.2:40000"), address("203.0.113.9:8443"));
        let (packets, keys) = over_tls(&authority, ("api.lvtu.example", suite), ends, None, AT, &turns());
        let name = format!("{:?}", offered.suite());
        let file = folder.file("a.pcap", &raw(&packets));
        let key_log = folder.file("keys.log", keys.as_bytes());
        let opened = exchanges(&[&file, "--keys", &key_log]);
        assert_eq!(summary(&opened).len(), 2, "{name}");
        assert_eq!(opened[0]["tls"]["keys"], "keylog", "{name}");
        assert_eq!(opened[0]["scheme"], "https", "{name}");
        assert!(exchanges(&[&file]).is_empty(), "{name}");
        let names = divulge(&["replay", &file, "--emit", "sni", "--format", "ndjson"]);
        assert_eq!(ndjson(&names)[0]["name"], "api.lvtu.example", "{name}");
        let report = report(&divulge(&["replay", &file, "--format", "json"]));
        assert_eq!(report["hosts"][0]["opaque_reason"], "no_key", "{name}: {}", report["hosts"]);

        for (place, first) in [("before", true), ("behind", false)] {
            let mut ng = PcapNg::new(Order::Little);
            let interface = ng.interface(Link::Raw, None);
            if first {
                ng.secrets(&keys);
            }
            packets.iter().for_each(|packet| ng.packet(interface, packet));
            if !first {
                ng.secrets(&keys);
            }
            let inside = exchanges(&[&folder.file("a.pcapng", &ng.into_bytes())]);
            assert_eq!(summary(&inside), summary(&opened), "{name}, block {place} the packets");
            assert_eq!(inside[0]["tls"]["keys"], "dsb", "{name}");
        }
    }
}

#[test]
fn keys_of_another_session_open_nothing_and_say_so() {
    let folder = Folder::new();
    let authority = Authority::new();
    let session = || {
        let ends = (address("10.0.0.2:40000"), address("203.0.113.9:443"));
        over_tls(&authority, ("api.lvtu.example", 0), ends, None, AT, &turns())
    };
    let ((packets, own_keys), (_, other_keys)) = (session(), session());
    let file = folder.file("a.pcap", &raw(&packets));
    let other = folder.file("other.log", other_keys.as_bytes());
    let output = divulge(&["replay", &file, "--keys", &other, "--format", "json"]);
    assert_eq!(status(&output), 0);
    assert_eq!(report(&output)["hosts"][0]["opaque_reason"], "no_key");

    // The right session, but other secrets.
    let mut forged = String::new();
    for (own, other) in own_keys.lines().zip(other_keys.lines()) {
        let own: Vec<&str> = own.split(' ').collect();
        forged += &format!("{} {} {}\n", own[0], own[1], other.split(' ').nth(2).expect("a secret"));
    }
    let forged = folder.file("forged.log", forged.as_bytes());
    let output = divulge(&["replay", &file, "--keys", &forged, "--format", "json"]);
    assert_eq!(status(&output), 0);
    assert_eq!(report(&output)["hosts"][0]["opaque_reason"], "wrong_key");
}

#[test]
fn bad_lines_of_a_key_log_are_told_with_file_and_line_and_the_others_are_used() {
    let folder = Folder::new();
    let ends = (address("10.0.0.2:40000"), address("203.0.113.9:443"));
    let (packets, keys) = over_tls(&Authority::new(), ("api.lvtu.example", 0), ends, None, AT, &turns());
    let file = folder.file("a.pcap", &raw(&packets));
    let key_log = folder.file("keys.log", format!("# made for a test\nCLIENT_RANDOM zz 12\r\n\n{keys}").as_bytes());
    let output = divulge(&["replay", &file, "--keys", &key_log, "--emit", "exchanges", "--format", "ndjson"]);
    assert_eq!((status(&output), ndjson(&output).len()), (0, 2));
    assert_one_line(&output, &["keys.log", "2"]);

    let nothing = divulge(&["replay", &file, "--keys", &folder.path("absent.log")]);
    assert_eq!(status(&nothing), 2);
    assert_one_line(&nothing, &["absent.log"]);
}

#[test]
fn what_is_no_capture_is_refused_in_one_line() {
    let folder = Folder::new();
    let noise: Vec<u8> = (0..4_096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (name, bytes) in [
        ("empty.pcap", &b""[..]),
        ("short.pcap", &[0xd4, 0xc3, 0xb2][..]),
        ("text.pcap", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("noise.pcap", &noise),
        // The type of a section header, and then no byte-order mark.
        ("noise.pcapng", &[&[0x0a, 0x0d, 0x0d, 0x0a][..], &noise].concat()),
        ("short.pcapng", &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a][..]),
    ] {
        let output = divulge(&["replay", &folder.file(name, bytes)]);
        assert_eq!(status(&output), 2, "{name}");
        assert_one_line(&output, &[name, "offset"]);
        assert!(stdout(&output).is_empty(), "{name}");
    }
    let output = divulge(&["replay", &folder.path("absent.pcap")]);
    assert_eq!(status(&output), 2);
    assert_one_line(&output, &["absent.pcap"]);
    let output = divulge_with_input(&["replay", "-"], b"");
    assert_eq!(status(&output), 2);
    assert_one_line(&output, &["standard input"]);
    assert_eq!(status(&divulge(&["replay"])), 2);
    assert_eq!(status(&divulge(&["replay", "--no-such-option", "x"])), 2);
}

#[test]
fn a_cut_capture_gives_what_was_read_and_a_warning() {
    let folder = Folder::new();
    let whole = raw(&conversation());
    let cut = folder.file("cut.pcap", &whole[..whole.len() - 7]);
    let output = divulge(&["replay", &cut, "--emit", "exchanges", "--format", "ndjson"]);
    assert_eq!(status(&output), 0);
    assert_eq!(summary(&ndjson(&output)).len(), 2);
    assert_one_line(&output, &["cut.pcap", "offset"]);

    let shipped = fs::read(shipped("traffic.pcapng")).expect("a shipped file");
    let cut = folder.file("cut.pcapng", &shipped[..shipped.len() / 2]);
    let output = divulge(&["replay", &cut, "--emit", "exchanges", "--format", "ndjson"]);
    assert_eq!(status(&output), 0);
    assert!(!ndjson(&output).is_empty());
    assert_one_line(&output, &["cut.pcapng", "offset"]);
}

#[test]
fn a_policy_that_is_no_text_is_refused_in_one_line() {
    let folder = Folder::new();
    let traffic = shipped("traffic.pcapng");
    let noise: Vec<u8> = (0..2_048u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    for (name, bytes) in
        [("noise.txt", &noise[..]), ("picture.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0"), ("empty.txt", b"")]
    {
        let policy = folder.file(name, bytes);
        let output = divulge(&["replay", &traffic, "--policy", &policy]);
        assert_eq!(status(&output), 2, "{name}");
        assert_one_line(&output, &[name]);
        let output = divulge(&["policy", "import", &policy, "--format", "json"]);
        assert_eq!(status(&output), 2, "{name}");
        assert_one_line(&output, &[name]);
    }
}

#[test]
fn a_mistake_in_profile_marks_or_rules_names_file_line_and_column() {
    let folder = Folder::new();
    let traffic = shipped("traffic.pcapng");
    let profile = folder.file("device.toml", b"imei = \"867530040172932\"\nno_such_type = \"x\"\n");
    let output = divulge(&["replay", &traffic, "--profile", &profile]);
    assert_eq!(status(&output), 2);
    assert_one_line(&output, &["device.toml:2:"]);

    let marks = folder.file("marks.jsonl", b"{\"ts\":\"2023-10-12T02:00:00Z\",\"mark\":\"sneeze\"}\n");
    let output = divulge(&["replay", &traffic, "--marks", &marks]);
    assert_eq!(status(&output), 2);
    assert_one_line(&output, &["marks.jsonl:1:"]);

    let rules = folder.path("rules");
    fs::create_dir_all(Path::new(&rules).join("sdks")).expect("a folder");
    let bad = b"id = \"acme\"\nname = \"Acme\"\ncolour = \"red\"\n";
    fs::write(Path::new(&rules).join("sdks/acme.toml"), bad).expect("room for a file");
    let output = divulge(&["replay", &traffic, "--rules", &rules]);
    assert_eq!(status(&output), 2);
    assert_one_line(&output, &["acme.toml:3:", "colour"]);
    let output = divulge(&["rules", "check", &rules]);
    assert_eq!(status(&output), 2);
    assert!(stderr(&output).contains("acme.toml:3:"), "{}", stderr(&output));
}

#[test]
fn fail_on_turns_findings_into_an_exit_status() {
    let traffic = shipped("traffic.pcapng");
    let (policy, profile) = (shipped("policy.txt"), shipped("device.toml"));
    let run = |extra: &[&str]| {
        let mut all = vec!["replay", &traffic, "--policy", &policy, "--profile", &profile];
        all.extend(extra);
        status(&divulge(&all))
    };
    for level in ["note", "low", "medium", "high"] {
        assert_eq!(run(&["--fail-on", level]), 1, "{level}");
    }
    assert_eq!(run(&["--fail-on", "alarming"]), 2);
}

#[test]
fn output_does_not_depend_on_the_number_of_threads() {
    let traffic = shipped("traffic.pcapng");
    let (policy, profile, marks) = (shipped("policy.txt"), shipped("device.toml"), shipped("marks.jsonl"));
    for (emit, format) in [
        ("exchanges", "ndjson"),
        ("observations", "ndjson"),
        ("findings", "ndjson"),
        ("sni", "ndjson"),
        ("dns", "ndjson"),
        ("", "json"),
        ("", "text"),
    ] {
        let outputs = ["1", "2", "4"].map(|threads| {
            let mut args = vec!["replay", &traffic, "--policy", &policy, "--profile", &profile, "--marks", &marks];
            args.extend(["--format", format, "--threads", threads]);
            if !emit.is_empty() {
                args.extend(["--emit", emit]);
            }
            stdout(&divulge(&args))
        });
        assert!(!outputs[0].is_empty(), "{emit} {format}");
        assert!(outputs[0] == outputs[1] && outputs[0] == outputs[2], "{emit} {format}");
    }
}

#[test]
fn several_inputs_are_one_run() {
    let folder = Folder::new();
    let packets = conversation();
    let (head, tail) = packets.split_at(packets.len() / 2);
    let (a, b) = (folder.file("a.pcap", &raw(head)), folder.file("b.pcap", &raw(tail)));
    assert_eq!(summary(&exchanges(&[&a, &b])).len(), 2);
}

#[test]
fn what_a_server_sends_is_no_data_flow_to_it() {
    let folder = Folder::new();
    let json = format!(r#"{{"imei":"{}"}}"#, demo::IMEI);
    let told = Turn { request: get("api.lvtu.example", "/who", &[]), response: ok(&json) };
    let sent =
        Turn { request: post("api.lvtu.example", "/me", "application/json", &[], json.as_bytes()), response: ok("{}") };
    for (turn, expected) in [(told, 0), (sent, 1)] {
        let packets = clear_text(address("10.0.0.2:40000"), address("203.0.113.9:80"), None, AT, &[turn]);
        let capture = folder.file("a.pcap", &raw(&packets));
        let profile = shipped("device.toml");
        let args = ["replay", &capture, "--profile", &profile, "--emit", "observations", "--format", "ndjson"];
        assert_eq!(ndjson(&divulge(&args)).len(), expected);
    }
}

#[test]
fn a_folder_without_rules_is_refused() {
    let folder = Folder::new();
    let path = folder.file("note.txt", b"no rules here");
    let folder = Path::new(&path).parent().expect("a folder").display().to_string();
    for args in [vec!["rules", "check", &folder], vec!["replay", "-", "--rules", &folder]] {
        let output = divulge(&args);
        assert_eq!(status(&output), 2);
        assert_one_line(&output, &["holds no rules"]);
    }
}

#[test]
fn an_input_may_stand_before_or_after_first_party_domains() {
    let capture = shipped("traffic.pcapng");
    let party = |args: &[&str]| {
        let output = divulge(&[args, &["--format", "json"]].concat());
        assert_eq!(status(&output), 0, "{}", stderr(&output));
        report(&output)["hosts"].to_string().contains("first_party")
    };
    assert!(party(&["replay", &capture, "--first-party", "a.example", "lvtu.example"]));
    assert!(party(&["replay", "--first-party", "a.example", "lvtu.example", &capture]));
    assert!(!party(&["replay", "--first-party", "a.example", &capture]));
    let output = divulge(&["replay", &capture, "--first-party", "a.example;lvtu.example"]);
    assert_one_line(&output, &["a.example;lvtu.example", "not a domain"]);
    let output = divulge(&["replay", "--first-party", "a.example"]);
    assert_eq!(status(&output), 2);
    assert_one_line(&output, &["no INPUT given"]);
}

#[test]
fn keys_behind_the_packets_open_files_compressed_files_and_streams_alike() {
    // The shipped capture has its key log in the last block.
    let capture = shipped("traffic.pcapng");
    let bytes = fs::read(&capture).expect("shipped");
    let folder = Folder::new();
    let packed = folder.file("t.pcapng.gz", &gzip(&bytes));
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    let of_file = sorted(summary(&exchanges(&[&capture])));
    assert_eq!(of_file.len(), 41);
    assert_eq!(sorted(summary(&exchanges(&[&packed]))), of_file);
    for threads in ["1", "3"] {
        let arguments = ["replay", "-", "--emit", "exchanges", "--format", "ndjson", "--threads", threads];
        assert_eq!(sorted(summary(&ndjson(&divulge_with_input(&arguments, &bytes)))), of_file);
        assert_eq!(sorted(summary(&ndjson(&divulge_with_input(&arguments, &gzip(&bytes))))), of_file);
    }
}

#[test]
fn a_body_without_a_length_ends_with_the_connection() {
    let folder = Folder::new();
    let mut connection = Connection::open(address("10.0.0.2:40000"), address("203.0.113.9:80"), None, AT);
    connection.send(Way::ToServer, b"GET /old HTTP/1.0\r\n\r\n");
    connection.send(Way::ToClient, b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall of");
    connection.send(Way::ToClient, b" this");
    let seen = exchanges(&[&folder.file("a.pcap", &raw(&connection.close_by_server()))]);
    assert_eq!((&seen[0]["protocol"], &seen[0]["response"]["body"]["bytes"]), (&"http/1.0".into(), &11.into()));
    assert_eq!(seen[0]["response"]["body"]["complete"], true);
}

#[test]
fn a_request_whose_connection_is_reset_is_still_a_request() {
    let folder = Folder::new();
    let mut connection = Connection::open(address("10.0.0.2:40000"), address("203.0.113.9:80"), None, AT);
    connection.send(Way::ToServer, &get("api.lvtu.example", "/gone", &[]));
    let seen = exchanges(&[&folder.file("a.pcap", &raw(&connection.reset()))]);
    assert_eq!(summary(&seen), ["GET api.lvtu.example /gone null"]);
}

/// Two exchanges over clear-text HTTP, the first with a body of several segments.
fn conversation() -> Vec<Packet> {
    clear_text(address("10.0.0.2:40000"), address("203.0.113.9:8080"), Some(demo::UID), AT, &turns())
}

fn turns() -> [Turn; 2] {
    let host = "api.lvtu.example";
    let body: Vec<u8> = (0..5_000u32).map(|n| b'a' + (n * n % 23) as u8).collect();
    let created = message("HTTP/1.1 201 Created", &[("Content-Type", "text/plain")], Some(b"made"));
    [
        Turn { request: post(host, "/a?x=1", "text/plain", &[], &body), response: created },
        Turn { request: get(host, "/b", &[]), response: ok(r#"{"b":2}"#) },
    ]
}

fn raw(packets: &[Packet]) -> Vec<u8> {
    pcap(Order::Little, Resolution::Micros, Link::Raw, "", packets)
}

#[test]
fn nothing_that_a_run_reads_is_written_over() {
    let folder = Folder::new();
    let bytes = std::fs::read(shipped("traffic.pcapng")).expect("the shipped capture");
    let capture = folder.file("a.pcapng", &bytes);
    let keys = folder.file("keys.log", b"# no keys\n");
    let other_name = folder.path("b.pcapng");
    std::fs::hard_link(&capture, &other_name).expect("a file system with links");
    for output in [&capture, &other_name, &keys] {
        let run = divulge(&["replay", &capture, "--keys", &keys, "--format", "json", "-o", output]);
        assert_eq!(status(&run), 2);
        assert_one_line(&run, &[output, "would be written over"]);
    }
    assert_eq!(std::fs::read(&capture).expect("still there"), bytes);
    let report = folder.path("report.json");
    assert_eq!(status(&divulge(&["replay", &capture, "--format", "json", "-o", &report])), 0);
    assert_eq!(
        status(&divulge(&["replay", &capture, "--format", "json", "-o", &report])),
        0,
        "a report may be replaced"
    );
}
