//! What goes wrong on one connection is told by name and harms no other.

use crate::origin::{self_signed, serve, serve_tls, server};
use crate::setting::{PATIENCE, Setting};
use divulge::model::IncidentKind;
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn reset(socket: &TcpStream) {
    SockRef::from(socket).set_linger(Some(Duration::ZERO)).unwrap();
}

/// That an ordinary request still works.
fn works(setting: &Setting) {
    let identity = setting.world.identity(&["origin.test"]);
    let port = serve_tls(server(&identity, &[]), |stream| {
        let mut question = [0; 2];
        stream.read_exact(&mut question).unwrap();
        stream.write_all(&question).unwrap();
    })
    .port();
    let mut client = setting.client(&setting.trusting(&[]), port);
    client.write_all(b"hi").unwrap();
    let mut read = [0; 2];
    client.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"hi");
}

#[test]
fn origins_that_are_not_to_be_trusted_are_turned_down_by_name() {
    let setting = Setting::new();
    let cases = [
        (setting.world.expired(&["origin.test"]), "certificate expired"),
        (setting.world.identity(&["other.test"]), "certificate is for another host"),
        (self_signed("origin.test"), "certificate of an unknown issuer or self-signed"),
    ];
    for (identity, why) in cases {
        let port = serve_tls(server(&identity, &[]), |stream| {
            // It ends in the handshake, with our alert.
            assert!(stream.read(&mut [0]).is_err());
        })
        .port();
        let mut client = setting.client(&setting.trusting(&[]), port);
        let error = client.write_all(b"hi").and_then(|()| client.read(&mut [0])).unwrap_err();
        assert!(error.to_string().contains("AccessDenied"), "{error}");
        let told = setting.wait_for(IncidentKind::OriginUntrusted);
        assert!(told.iter().any(|told| &*told.host == "origin.test" && told.text.contains(why)), "{why}: {told:?}");
    }
    works(&setting);
}

#[test]
fn an_origin_is_taken_as_it_is_where_that_is_told_and_that_is_told_too() {
    let setting = Setting::with(|config, _| config.insecure = vec!["origin.test".parse().unwrap()]);
    let port = serve_tls(server(&self_signed("origin.test"), &[]), |stream| {
        let mut question = [0; 2];
        stream.read_exact(&mut question).unwrap();
        stream.write_all(&question).unwrap();
    })
    .port();
    let mut client = setting.client(&setting.trusting(&[]), port);
    client.write_all(b"hi").unwrap();
    client.read_exact(&mut [0; 2]).unwrap();
    let told = setting.wait_for(IncidentKind::OriginUnverified);
    assert!(told.iter().any(|told| told.text.contains("unknown issuer")), "{told:?}");
}

#[test]
fn origins_that_are_not_there_are_told_by_name() {
    let setting = Setting::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (_, refused) = setting.connect(&format!("origin.test:{closed}"));
    assert!(refused.starts_with("HTTP/1.1 502"), "{refused}");
    let (_, unknown) = setting.connect("nosuch.invalid:443");
    assert!(unknown.starts_with("HTTP/1.1 502"), "{unknown}");
    works(&setting);
    let told = setting.tapped().incidents();
    assert!(told.iter().any(|(_, text)| text.contains("origin.test: origin: cannot connect")), "{told:?}");
    assert!(told.iter().any(|(_, text)| text.contains("nosuch.invalid: origin: name not found")), "{told:?}");
}

/// A server whose first so many bytes arrive before it resets the connection.
fn resetting(setting: &Setting, after: Arc<AtomicUsize>) -> u16 {
    let identity = setting.world.identity(&["origin.test"]);
    let real = serve_tls(server(&identity, &[]), |stream| {
        let mut question = [0; 2];
        if stream.read_exact(&mut question).is_ok() {
            // Whoever is behind it may have had enough.
            let _: std::io::Result<()> = stream.write_all(&[9; 3_000]).and_then(|()| stream.flush());
        }
    });
    serve(move |client| {
        let server = TcpStream::connect(real).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || drop(std::io::copy(&mut from, &mut to)));
        let mut left = after.load(Ordering::SeqCst);
        let (mut server, mut client) = (server, client);
        let mut buffer = [0; 512];
        while left > 0 {
            let most = left.min(buffer.len());
            let Ok(read @ 1..) = server.read(&mut buffer[..most]) else { return };
            if client.write_all(&buffer[..read]).is_err() {
                return;
            }
            left -= read;
        }
        // So that what was sent before is not lost with the reset.
        std::thread::sleep(Duration::from_millis(2));
        reset(&client);
        // Ends the other thread too, whose hold on the socket would put the reset off.
        for (socket, how) in [(&client, Shutdown::Read), (&server, Shutdown::Both)] {
            let _: std::io::Result<()> = socket.shutdown(how);
        }
    })
    .port()
}

#[test]
fn origins_that_reset_at_any_byte_are_told_by_name() {
    let setting = Setting::new();
    let after = Arc::new(AtomicUsize::new(0));
    let port = resetting(&setting, Arc::clone(&after));
    let trusting = setting.trusting(&[]);
    // The handshake and the response together are more than 3,200 bytes.
    for bytes in (0..40).chain((40..3_200).step_by(61)) {
        after.store(bytes, Ordering::SeqCst);
        let mut client = setting.client(&trusting, port);
        let mut read = Vec::new();
        let asked = client.write_all(b"hi").and_then(|()| client.flush());
        let answered = asked.and_then(|()| client.read_to_end(&mut read));
        assert!(answered.is_err() && read.len() < 3_000, "{bytes}: {answered:?}");
        assert!(read.iter().all(|&byte| byte == 9));
    }
    works(&setting);
    let told = setting.tapped().incidents();
    let failed =
        told.iter().filter(|(kind, text)| *kind == IncidentKind::OriginFailed && text.starts_with("origin.test"));
    assert!(failed.count() >= 80, "{} of {told:?}", told.len());
}

#[test]
fn clients_that_vanish_are_told_and_harm_nobody() {
    let setting = Setting::new();
    let identity = setting.world.identity(&["origin.test"]);
    let port = serve_tls(server(&identity, &[]), |stream| {
        let mut buffer = [0; 1024];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..read]).is_err() {
                return;
            }
        }
    })
    .port();
    let trusting = setting.trusting(&[]);
    let mut client = setting.client(&trusting, port);
    client.write_all(b"half a request").unwrap();
    client.read_exact(&mut [0; 14]).unwrap();
    reset(&client.sock);
    drop(client);
    let told = setting.wait_for(IncidentKind::ClientFailed);
    assert!(told.iter().any(|told| &*told.host == "origin.test" && told.text.contains("client broke off")), "{told:?}");
    // In the middle of its hello, and of asking.
    let mut socket = setting.tunnel(port);
    socket.write_all(&[22, 3, 1, 2, 0, 1, 0]).unwrap();
    drop(socket);
    let mut socket = setting.socket();
    socket.write_all(b"CONNECT origin.te").unwrap();
    drop(socket);
    works(&setting);
}

#[test]
fn one_client_may_not_take_all_connections() {
    let setting = Setting::with(|config, _| config.connections_per_client_max = 20);
    let held: Vec<TcpStream> = (0..20).map(|_| setting.socket()).collect();
    let mut one_more = setting.socket();
    assert_eq!(one_more.read(&mut [0]).unwrap_or(0), 0, "closed at once");
    let told = setting.wait_for(IncidentKind::Refused);
    assert!(told.iter().any(|told| &*told.host == "127.0.0.1" && told.text.contains("too many")), "{told:?}");
    drop(held);
    let began = std::time::Instant::now();
    loop {
        let mut socket = setting.socket();
        socket.write_all(b"GET http://divulge.internal/ HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        if socket.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(began.elapsed() < PATIENCE);
    }
}
