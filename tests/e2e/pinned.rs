//! Apps that refuse the certificate of a proxy: the report says so, not that a key is missing.

use crate::run::{Folder, address, divulge, divulge_with_input, report};
use crate::support::Order;
use crate::support::file::{Resolution, pcap};
use crate::support::link::Link;
use crate::support::tcp::Connection;
use crate::support::tls::{SUITES, Session};
use serde_json::Value;

const AT: i64 = 1_700_000_000_000_000_000;

#[test]
fn a_refused_certificate_is_the_reason_a_host_was_not_read() {
    let folder = Folder::new();
    for suite in 0..SUITES.len() {
        let mut connection = Connection::open(address("10.0.0.2:20001"), address("203.0.113.9:443"), None, AT);
        let session = Session::refused("bank.example", suite, &mut connection);
        let capture = pcap(Order::Little, Resolution::Nanos, Link::Ethernet, "", &connection.close());
        let file = folder.file("capture.pcap", &capture);
        let keys = folder.file("keys.log", session.key_log().as_bytes());
        for found in [
            report(&divulge(&["replay", &file, "--keys", &keys, "--format", "json"])),
            report(&divulge_with_input(&["replay", "-", "--keys", &keys, "--format", "json"], &capture)),
        ] {
            let host = &found["hosts"][0];
            assert_eq!((&host["host"], &host["opaque_reason"]), (&"bank.example".into(), &"pinned".into()));
            assert_eq!(host["opaque_bytes"], host["bytes"], "nothing was said");
            assert_eq!(found["coverage"]["readable_flows"], Value::from(0));
        }
    }
}
