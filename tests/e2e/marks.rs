//! Marks that are set while a capture comes in.

use crate::run::{Folder, address, shipped};
use crate::running::Running;
use crate::support::file::{Resolution, pcap};
use crate::support::http::{get, ok};
use crate::support::link::Link;
use crate::support::tcp::Connection;
use crate::support::{Order, Way};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::Write;

/// 2023-11-14T22:13:20Z.
const AT: i64 = 1_700_000_000_000_000_000;
/// A stable value of the demo's device profile.
const ANDROID_ID: &str = "b7c1e5420d9fa683";

fn traffic() -> Vec<u8> {
    let mut connection = Connection::open(address("10.0.0.2:20001"), address("203.0.113.9:80"), None, AT);
    connection.send(Way::ToServer, &get("api.lvtu.example", &format!("/?aid={ANDROID_ID}"), &[]));
    connection.send(Way::ToClient, &ok("{}"));
    pcap(Order::Little, Resolution::Nanos, Link::Ethernet, "", &connection.close())
}

fn append(path: &str, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("a file");
    file.write_all(text.as_bytes()).expect("room");
}

#[test]
fn a_mark_that_is_set_after_the_traffic_counts_for_it() {
    let folder = Folder::new();
    let (marks, profile) = (folder.path("marks.jsonl"), shipped("device.toml"));
    for (at, before_consent) in [("2023-11-14T22:13:19Z", false), ("2023-11-14T22:14:00Z", true)] {
        std::fs::write(&marks, "").expect("room");
        let args = ["replay", "-", "--profile", &profile, "--marks", &marks, "--format", "json"];
        let mut run = Running::start(&args);
        // What the file holds at the start must be right; what comes later may be wrong.
        run.await_handlers();
        run.write(&traffic());
        append(&marks, "{\"ts\":\"2023-11-14T22:13:18Z\",\"mark\":\"launch\"}\n{\"ts\":\"2023\",\"mark\":\"agree\"}\n");
        // The end of a line that is still written.
        append(&marks, &format!("{{\"ts\":\"{at}\",\"mark\":\"agree\","));
        append(&marks, "\"text\":\"yes\"}");
        run.close();
        assert!(run.wait().success());
        let (said, errors) = run.rest();
        let report: Value = serde_json::from_str(&said).expect("a report");
        let kinds: Vec<_> = report["marks"].as_array().expect("a list").iter().map(|mark| &mark["mark"]).collect();
        assert_eq!(kinds, ["launch", "agree"]);
        let flows = report["data_flows"].as_array().expect("a list");
        let flow = flows.iter().find(|flow| flow["data_type"] == "android_id").expect("a data flow");
        assert_eq!(flow["before_consent"], before_consent, "agreed at {at}");
        assert!(errors.contains("marks.jsonl:2:7: `ts` is no RFC 3339 time"), "{errors}");
    }
}

#[test]
fn marks_with_a_mistake_are_refused_before_anything_is_read() {
    let folder = Folder::new();
    let marks = folder.file("marks.jsonl", b"{\"ts\":\"2023-11-14T22:13:19Z\",\"mark\":\"accept\"}\n");
    let mut run = Running::start(&["replay", "-", "--marks", &marks]);
    assert_eq!(run.wait().code(), Some(2));
    assert!(run.rest().1.contains("marks.jsonl:1:37: no mark `accept`"));
}
