//! The ways clients come: CONNECT, absolute form, SOCKS, names alone; other proxies on the way; who may come at all.

use crate::origin::{serve, serve_tls, server, server_that_asks};
use crate::setting::{Setting, tls};
use divulge::model::{App, CaptureItem, IncidentKind};
use divulge::proxy::{ClientCertificate, Config, Credentials, Mode, Upstream, UpstreamKind};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A server that answers each request with its own bytes, and keeps the connection.
fn echo_http() -> u16 {
    serve(|mut stream| {
        let mut held = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            held.extend_from_slice(&buffer[..read]);
            // All that has come is one request: the tests send one at a time.
            let text = String::from_utf8_lossy(&held);
            let end = match (text.contains("Content-Length"), text.contains("chunked")) {
                (true, _) => "\r\n\r\nbody",
                (_, true) => "\r\n0\r\n\r\n",
                _ => "\r\n\r\n",
            };
            if text.ends_with(end) {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", held.len());
                stream.write_all(&[head.as_bytes(), &held].concat()).unwrap();
                held.clear();
            }
        }
    })
    .port()
}

fn head(socket: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if socket.read(&mut byte).unwrap() == 0 {
            break;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Sends a request; gives what the echoing server got.
fn ask(socket: &mut TcpStream, request: &str) -> String {
    socket.write_all(request.as_bytes()).unwrap();
    let head = head(socket);
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a length");
    let mut body = vec![0; length.parse().unwrap()];
    socket.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

#[test]
fn requests_in_absolute_form_go_to_their_hosts_over_one_connection() {
    let setting = Setting::with(|config, _| config.resolve.push(("other.test".to_owned(), [127, 0, 0, 1].into())));
    let (one, other) = (echo_http(), echo_http());
    let mut socket = setting.socket();
    let got = ask(
        &mut socket,
        &format!(
            "POST http://origin.test:{one}/a?b=c HTTP/1.1\r\nHost: origin.test:{one}\r\nX-y:  z\r\nProxy-Connection: keep-alive\r\nContent-Length: 4\r\n\r\nbody"
        ),
    );
    assert_eq!(
        got,
        format!("POST /a?b=c HTTP/1.1\r\nHost: origin.test:{one}\r\nX-y:  z\r\nContent-Length: 4\r\n\r\nbody")
    );
    let chunked = format!(
        "POST http://other.test:{other} HTTP/1.1\r\nHost: other.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    );
    assert!(ask(&mut socket, &chunked).starts_with("POST / HTTP/1.1\r\nHost: other.test\r\n"));
    assert!(
        ask(&mut socket, &format!("GET http://origin.test:{one}/d HTTP/1.1\r\n\r\n")).starts_with("GET /d HTTP/1.1")
    );
    drop(socket);
    let tapped = setting.tapped();
    assert_eq!(tapped.incidents(), []);
    let exchanges = tapped.exchanges();
    assert_eq!(exchanges.len(), 3, "{exchanges:?}");
    assert!(exchanges[0].starts_with(&format!("POST http://origin.test:{one}/a?b=c 200")), "{exchanges:?}");
}

#[test]
fn a_change_of_protocol_is_followed_by_whatever_comes() {
    let setting = Setting::new();
    let port = serve(|mut stream| {
        assert!(head(&mut stream).contains("Upgrade: odd"));
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: odd\r\n\r\nhello").unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        stream.write_all(&rest).unwrap();
    })
    .port();
    let mut socket = setting.socket();
    write!(
        socket,
        "GET http://origin.test:{port}/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: odd\r\n\r\n\x00\x01odd"
    )
    .unwrap();
    assert!(head(&mut socket).starts_with("HTTP/1.1 101"));
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"hello\x00\x01odd");
}

#[test]
fn socks_clients_reach_names_and_addresses() {
    let setting = Setting::with(|config, _| config.modes = vec![Mode::Regular, Mode::Socks5]);
    let identity = setting.world.identity(&["origin.test"]);
    let port = serve_tls(server(&identity, &["h2"]), |stream| {
        let mut question = [0; 4];
        stream.read_exact(&mut question).unwrap();
        stream.write_all(&question).unwrap();
    })
    .port();
    let name = [&[3, 11][..], b"origin.test"].concat();
    for address in [&name[..], &[1, 127, 0, 0, 1]] {
        let mut socket = setting.socket();
        socket.write_all(&[5, 1, 0]).unwrap();
        socket.write_all(&[&[5, 1, 0], address, &port.to_be_bytes()].concat()).unwrap();
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..4], [5, 0, 5, 0]);
        let mut client = tls(&setting.trusting(&["h2", "http/1.1"]), "origin.test", socket);
        client.write_all(b"ping").unwrap();
        let mut read = [0; 4];
        client.read_exact(&mut read).unwrap();
        assert_eq!((&read, client.conn.alpn_protocol()), (b"ping", Some(&b"h2"[..])));
    }
    // UDP ASSOCIATE, and a port nobody listens on.
    for (command, port, expected) in [(3, port, 7), (1, 1, 5)] {
        let mut socket = setting.socket();
        socket.write_all(&[5, 1, 0]).unwrap();
        socket.write_all(&[&[5, command, 0, 1, 127, 0, 0, 1][..], &port.to_be_bytes()].concat()).unwrap();
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(answer[3], expected);
        assert_eq!(socket.read(&mut answer).unwrap(), 0);
    }
}

#[test]
fn credentials_are_asked_for_where_they_are_set_and_go_no_further() {
    let setting = Setting::with(|config, _| {
        config.modes = vec![Mode::Regular, Mode::Socks5];
        config.auth = Some("user:secret".parse::<Credentials>().unwrap());
    });
    let port = echo_http();
    let (_, answer) = setting.connect(&format!("origin.test:{port}"));
    assert!(answer.starts_with("HTTP/1.1 407"), "{answer}");
    let mut socket = setting.socket();
    let got = ask(
        &mut socket,
        &format!(
            "GET http://origin.test:{port}/ HTTP/1.1\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\nHost: x\r\n\r\n"
        ),
    );
    assert_eq!(got, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    for (password, accepted) in [(&b"secret"[..], 0), (b"wrong", 1)] {
        let mut socket = setting.socket();
        socket.write_all(&[5, 2, 0, 2]).unwrap();
        let login = [&[1, 4][..], b"user", &[u8::try_from(password.len()).unwrap()], password].concat();
        socket.write_all(&login).unwrap();
        let mut answer = [0; 4];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [5, 2, 1, accepted]);
    }
    let mut socket = setting.socket();
    socket.write_all(&[5, 1, 0]).unwrap();
    let mut answer = [0; 2];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [5, 0xff]);
}

#[test]
fn the_page_is_served_under_its_name_and_to_those_who_only_look() {
    let setting = Setting::new();
    for request in [
        "GET http://divulge.internal/ca.pem HTTP/1.1\r\nHost: divulge.internal\r\n\r\n".to_owned(),
        format!("GET /ca.pem HTTP/1.1\r\nHost: {}\r\n\r\n", setting.address()),
    ] {
        let mut socket = setting.socket();
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(setting.authority.pem()), "{answer}");
    }
    let (_, answer) = setting.connect("divulge.internal:443");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[test]
fn this_machine_is_reached_only_where_that_is_told() {
    let setting = Setting::with(|config, _| config.allow_local = false);
    let port = echo_http();
    for host in ["127.0.0.1", "[::1]", "localhost", "origin.test", "169.254.169.254", "0.0.0.0", "[::ffff:127.0.0.1]"] {
        let (_, answer) = setting.connect(&format!("{host}:{port}"));
        assert!(answer.starts_with("HTTP/1.1 403"), "{host}: {answer}");
    }
    let own = setting.address();
    let told = setting.tapped().incidents();
    assert!(told.iter().all(|(kind, _)| *kind == IncidentKind::Refused), "{told:?}");
    let setting = Setting::new();
    let (_, answer) = setting.connect(&format!("127.0.0.1:{}", setting.address().port()));
    assert!(answer.starts_with("HTTP/1.1 403"), "{own}: a proxy does not ask itself: {answer}");
}

#[test]
fn origins_are_reached_through_other_proxies() {
    for kind in [UpstreamKind::Http, UpstreamKind::Socks5] {
        let outer = Setting::with(|config, _| {
            config.modes = vec![Mode::Regular, Mode::Socks5];
            config.auth = Some("user:secret".parse().unwrap());
        });
        let address = outer.address();
        let through = Setting::with(|config: &mut Config, _| {
            let credentials = Some("user:secret".parse().unwrap());
            config.upstream =
                Some(Upstream { kind, host: address.ip().to_string(), port: address.port(), credentials });
            config.resolve.clear();
        });
        let mut socket = through.tunnel(echo_http());
        assert!(ask(&mut socket, "GET /x HTTP/1.1\r\n\r\n").starts_with("GET /x"), "{kind:?}");
        let (_, answer) = through.connect("nosuch.invalid:80");
        assert!(answer.starts_with("HTTP/1.1 502"), "{kind:?} {answer}");
    }
}

#[test]
fn an_origin_that_asks_for_a_certificate_gets_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let setting = Setting::with(|config, world| {
        std::fs::write(file.path(), world.client_pem()).unwrap();
        let host = "origin.test".parse().unwrap();
        config.client_certificates = vec![ClientCertificate { host, file: file.path().to_owned() }];
    });
    let identity = setting.world.identity(&["origin.test"]);
    let port = serve_tls(server_that_asks(&identity, &setting.world), |stream| {
        let mut question = [0; 2];
        stream.read_exact(&mut question).unwrap();
        let known = stream.conn.peer_certificates().is_some();
        stream.write_all(if known { b"ok" } else { b"no" }).unwrap();
    })
    .port();
    let mut client = setting.client(&setting.trusting(&[]), port);
    client.write_all(b"hi").unwrap();
    let mut read = [0; 2];
    client.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"ok");
}

#[test]
fn tls_without_a_proxy_request_goes_where_its_name_says() {
    // Nothing listens on port 443 here, so that it was tried is all that can be seen.
    let setting = Setting::with(|config, _| config.modes = vec![Mode::Regular, Mode::Transparent]);
    let mut client = tls(&setting.trusting(&[]), "origin.test", setting.socket());
    assert!(client.write_all(b"hi").and_then(|()| client.flush()).and_then(|()| client.read(&mut [0])).is_err());
    let port = echo_http();
    let mut socket = setting.socket();
    assert!(ask(&mut socket, &format!("GET /x HTTP/1.1\r\nHost: origin.test:{port}\r\n\r\n")).starts_with("GET /x"));
    drop(socket);
    let told = setting.tapped().incidents();
    assert!(told[0].1.contains("origin.test: origin: cannot connect"), "{told:?}");
}

#[test]
fn the_app_of_a_connection_may_become_known_later() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let setting = Setting::with(move |config, _| {
        config.app_of = Some(Arc::new(move |_| {
            let app = App { uid: Some(10_123), package: Some("com.example.app".into()), name: None };
            (counted.fetch_add(1, Ordering::SeqCst) > 1).then(|| Arc::new(app))
        }));
    });
    let mut socket = setting.tunnel(echo_http());
    for _ in 0..3 {
        std::thread::sleep(std::time::Duration::from_millis(150));
        ask(&mut socket, "GET /x HTTP/1.1\r\n\r\n");
    }
    drop(socket);
    let tapped = setting.tapped();
    let frames = tapped.0.iter().filter_map(|item| match item {
        CaptureItem::Frames(batch) => Some(batch.frames.iter().map(|frame| frame.app.as_ref().and_then(|app| app.uid))),
        _ => None,
    });
    let apps: Vec<Option<i32>> = frames.flatten().collect();
    assert_eq!((apps.first(), apps.last()), (Some(&None), Some(&Some(10_123))), "{apps:?}");
    assert!(asked.load(Ordering::SeqCst) < 6, "it is not asked for every frame");
}
