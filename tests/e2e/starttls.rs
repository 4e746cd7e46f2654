//! TLS that begins in the middle of a connection, or behind a proxy's header: the requests inside are read all the same.

use crate::run::{Folder, address, divulge, exchanges, ndjson, report, status, stderr};
use crate::support::file::{Resolution, pcap};
use crate::support::link::Link;
use crate::support::packet::Packet;
use crate::support::tcp::Connection;
use crate::support::tls::{Authority, Session};
use crate::support::{Order, Way};
use serde_json::Value;

const AT: i64 = 1_697_076_000_000_000_000;
const REQUEST: &[u8] = b"GET /inside HTTP/1.1\r\nHost: mail.lvtu.example\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A connection that says `prelude` and then goes on in TLS; its packets and key log.
fn conversation(prelude: &[(Way, &[u8])]) -> (Vec<Packet>, String) {
    let mut connection = Connection::open(address("10.0.0.2:40100"), address("203.0.113.9:5222"), None, AT);
    for &(way, bytes) in prelude {
        connection.send(way, bytes);
    }
    let mut session = Session::open(&Authority::new(), "mail.lvtu.example", 0, &mut connection);
    session.send(Way::ToServer, REQUEST, &mut connection);
    session.send(Way::ToClient, ANSWER, &mut connection);
    let keys = session.key_log();
    (connection.close(), keys)
}

fn read(packets: &[Packet], keys: &str) -> (Vec<Value>, Vec<Value>, Value) {
    let folder = Folder::new();
    let capture = folder.file("a.pcap", &pcap(Order::Little, Resolution::Micros, Link::Raw, "绿途", packets));
    let keys = folder.file("a.keys", keys.as_bytes());
    let run = |args: &[&str]| {
        let output = divulge(&[&["replay", &capture, "--keys", &keys, "--tui", "never"], args].concat());
        assert_eq!(status(&output), 0, "{}", stderr(&output));
        output
    };
    let names = ndjson(&run(&["--emit", "sni", "--format", "ndjson"]));
    (exchanges(&[&capture, "--keys", &keys]), names, report(&run(&["--format", "json"])))
}

#[test]
fn tls_after_a_clear_prelude_is_opened_and_the_prelude_counts_as_read() {
    let preludes: [&[(Way, &[u8])]; 6] = [
        // SMTP (RFC 3207)
        &[
            (Way::ToClient, b"220 mail.lvtu.example ESMTP\r\n"),
            (Way::ToServer, b"EHLO phone\r\n"),
            (Way::ToClient, b"250-mail.lvtu.example\r\n250 STARTTLS\r\n"),
            (Way::ToServer, b"STARTTLS\r\n"),
            (Way::ToClient, b"220 go ahead\r\n"),
        ],
        // IMAP and POP3 (RFC 2595)
        &[
            (Way::ToClient, b"* OK IMAP4rev1 ready\r\n"),
            (Way::ToServer, b"a1 STARTTLS\r\n"),
            (Way::ToClient, b"a1 OK begin TLS now\r\n"),
        ],
        &[(Way::ToClient, b"+OK POP3\r\n"), (Way::ToServer, b"STLS\r\n"), (Way::ToClient, b"+OK begin\r\n")],
        // XMPP (RFC 6120)
        &[
            (Way::ToServer, b"<?xml version='1.0'?><stream:stream to='lvtu.example' version='1.0'>"),
            (Way::ToClient, b"<stream:stream><stream:features><starttls/></stream:features>"),
            (Way::ToServer, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
            (Way::ToClient, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
        ],
        // An upgrade within HTTP/1 (RFC 2817), and a tunnel
        &[
            (
                Way::ToServer,
                b"OPTIONS * HTTP/1.1\r\nHost: a.example\r\nUpgrade: TLS/1.0\r\nConnection: Upgrade\r\n\r\n",
            ),
            (
                Way::ToClient,
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: TLS/1.0, HTTP/1.1\r\nConnection: Upgrade\r\n\r\n",
            ),
        ],
        &[
            (Way::ToServer, b"CONNECT mail.lvtu.example:443 HTTP/1.1\r\nHost: mail.lvtu.example:443\r\n\r\n"),
            (Way::ToClient, b"HTTP/1.1 200 Connection established\r\n\r\n"),
        ],
    ];
    for prelude in preludes {
        let (packets, keys) = conversation(prelude);
        let (exchanges, names, report) = read(&packets, &keys);
        let inside = exchanges.iter().filter(|one| one["path"] == "/inside").count();
        assert_eq!(inside, 1, "{prelude:?}");
        assert_eq!(names.len(), 1, "{prelude:?}");
        assert_eq!(names[0]["name"], "mail.lvtu.example");
        assert_eq!(report["coverage"]["readable_flows"], 1, "{prelude:?}");
    }
}

#[test]
fn tls_behind_a_binary_prelude_is_opened() {
    let mut greeting = vec![0x4a, 0, 0, 0, 0x0a];
    greeting.extend_from_slice(b"8.0.35\0\x08\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08\0\xff\xff\xff\x02\0");
    let mut ask_mysql = vec![0x20, 0, 0, 1, 0x85, 0xae, 0xff, 0x19, 0, 0, 0, 1, 0xff];
    ask_mysql.resize(36, 0);
    let preludes: [&[(Way, &[u8])]; 3] = [
        // PostgreSQL, MySQL, LDAP (RFC 4511 §4.14)
        &[(Way::ToServer, b"\0\0\0\x08\x04\xd2\x16\x2f"), (Way::ToClient, b"S")],
        &[(Way::ToClient, &greeting), (Way::ToServer, &ask_mysql)],
        &[
            (Way::ToServer, b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"),
            (Way::ToClient, b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0"),
        ],
    ];
    for prelude in preludes {
        let (packets, keys) = conversation(prelude);
        let (exchanges, names, _) = read(&packets, &keys);
        assert_eq!((exchanges.len(), names.len()), (1, 1), "{prelude:?}");
        assert_eq!(exchanges[0]["path"], "/inside");
    }
}

#[test]
fn what_follows_a_proxy_header_is_read() {
    let binary =
        [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(), &[10, 0, 0, 9, 10, 0, 0, 1, 0x9c, 0x40, 1, 0xbb]].concat();
    for header in [b"PROXY TCP4 10.0.0.9 10.0.0.1 40000 443\r\n".as_slice(), &binary] {
        let (packets, keys) = conversation(&[(Way::ToServer, header)]);
        let (exchanges, _, report) = read(&packets, &keys);
        assert_eq!(exchanges.len(), 1);
        assert_eq!(report["coverage"]["readable_bytes"], report["coverage"]["bytes"]);

        let mut clear = Connection::open(address("10.0.0.2:40101"), address("203.0.113.9:80"), None, AT);
        clear.send(Way::ToServer, &[header, REQUEST].concat());
        clear.send(Way::ToClient, ANSWER);
        let (exchanges, _, _) = read(&clear.close(), "");
        assert_eq!((exchanges.len(), &exchanges[0]["status"]), (1, &Value::from(200)));
    }
}

#[test]
fn names_asked_for_over_tls_are_told() {
    let mut connection = Connection::open(address("10.0.0.2:40102"), address("203.0.113.9:853"), None, AT);
    let mut session = Session::open(&Authority::new(), "dns.lvtu.example", 0, &mut connection);
    let query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03www\x07Example\x03com\0\0\x01\0\x01";
    session.send(Way::ToServer, &[&[0, 33][..], query].concat(), &mut connection);
    let keys = session.key_log();
    let folder = Folder::new();
    let packets = connection.close();
    let capture = folder.file("a.pcap", &pcap(Order::Little, Resolution::Micros, Link::Raw, "绿途", &packets));
    let keys = folder.file("a.keys", keys.as_bytes());
    let output =
        divulge(&["replay", &capture, "--keys", &keys, "--tui", "never", "--emit", "dns", "--format", "ndjson"]);
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    let names = ndjson(&output);
    assert_eq!((names.len(), &names[0]["name"]), (1, &Value::from("www.Example.com")));
}
