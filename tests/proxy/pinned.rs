//! Clients that do not take our certificates keep working, and are told of.

use crate::origin::{Served, serve_tls, server};
use crate::setting::{Client, Setting};
use divulge::model::IncidentKind;
use std::io::{Read, Write};

fn echo(stream: &mut Served) {
    let mut question = [0; 4];
    if stream.read_exact(&mut question).is_ok() {
        stream.write_all(&question).unwrap();
    }
}

fn ping(client: &mut Client) -> std::io::Result<[u8; 4]> {
    client.write_all(b"ping")?;
    let mut read = [0; 4];
    client.read_exact(&mut read)?;
    Ok(read)
}

#[test]
fn a_client_that_refuses_our_certificate_is_passed_through_from_then_on() {
    let setting = Setting::new();
    let identity = setting.world.identity(&["origin.test"]);
    let port = serve_tls(server(&identity, &[]), echo).port();
    let untrusting = setting.untrusting();
    assert!(ping(&mut setting.client(&untrusting, port)).is_err());
    setting.wait_for(IncidentKind::ClientRefused);
    for _ in 0..2 {
        let mut client = setting.client(&untrusting, port);
        assert_eq!(&ping(&mut client).unwrap(), b"ping");
        assert_eq!(client.conn.peer_certificates().unwrap(), identity.chain);
    }
    let tapped = setting.tapped();
    let told = tapped.incidents();
    assert!(told.iter().filter(|(kind, _)| *kind == IncidentKind::Pinned).count() == 2, "{told:?}");
    let exchanges = tapped.exchanges();
    assert!(exchanges.iter().all(|exchange| exchange.starts_with("CONNECT")), "{exchanges:?}");
}

#[test]
fn a_client_that_looks_at_the_certificate_after_the_handshake_is_too() {
    let setting = Setting::new();
    let identity = setting.world.identity(&["origin.test"]);
    let port = serve_tls(server(&identity, &[]), echo).port();
    let trusting = setting.trusting(&[]);
    let mut client = setting.client(&trusting, port);
    while client.conn.is_handshaking() {
        client.conn.complete_io(&mut client.sock).unwrap();
    }
    drop(client);
    let told = setting.wait_for(IncidentKind::ClientRefused);
    assert!(told.iter().any(|incident| incident.text.contains("without using it")), "{told:?}");
    let mut client = setting.client(&setting.untrusting(), port);
    assert_eq!(&ping(&mut client).unwrap(), b"ping");
    assert_eq!(client.conn.peer_certificates().unwrap(), identity.chain);
}

#[test]
fn a_client_that_has_used_a_session_may_leave_another_unused() {
    let setting = Setting::new();
    let identity = setting.world.identity(&["origin.test"]);
    let port = serve_tls(server(&identity, &[]), echo).port();
    let trusting = setting.trusting(&[]);
    let mut used = setting.client(&trusting, port);
    ping(&mut used).unwrap();
    let mut unused = setting.client(&trusting, port);
    while unused.conn.is_handshaking() {
        unused.conn.complete_io(&mut unused.sock).unwrap();
    }
    drop(unused);
    let mut again = setting.client(&trusting, port);
    ping(&mut again).unwrap();
    assert_ne!(again.conn.peer_certificates().unwrap(), identity.chain);
    drop((used, again));
    assert!(setting.tapped().incidents().iter().all(|(kind, _)| *kind != IncidentKind::ClientRefused));
}

#[test]
fn hosts_that_are_named_are_passed_through_at_once() {
    let setting = Setting::with(|config, _| config.passthrough = vec!["*.test".parse().unwrap()]);
    let identity = setting.world.identity(&["origin.test"]);
    let port = serve_tls(server(&identity, &[]), echo).port();
    let mut client = setting.client(&setting.untrusting(), port);
    assert_eq!(&ping(&mut client).unwrap(), b"ping");
    drop(client);
    let told = setting.tapped().incidents();
    assert_eq!(told[0], (IncidentKind::PassedThrough, "origin.test: passed through untouched, as told".to_owned()));
}
