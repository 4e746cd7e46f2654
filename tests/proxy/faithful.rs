//! What one side sends arrives at the other unchanged, whatever it is.

use crate::origin::{serve, serve_tls, server, server_12};
use crate::setting::{PATIENCE, Setting};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The same bytes on both sides, from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A piece of one byte to 40,000, mostly small.
    fn piece(&mut self) -> Vec<u8> {
        let most = [3, 200, 2_000, 40_000][(self.next() % 4) as usize];
        let len = 1 + (self.next() % most) as usize;
        (0..len).map(|_| (self.next() >> 56) as u8).collect()
    }
}

const ROUNDS: usize = 300;

fn talk(stream: &mut (impl Read + Write), seeds: (u64, u64)) {
    let (mut own, mut others) = (Dice(seeds.0), Dice(seeds.1));
    for _ in 0..ROUNDS {
        stream.write_all(&own.piece()).unwrap();
        stream.flush().unwrap();
        let expected = others.piece();
        let mut read = vec![0; expected.len()];
        stream.read_exact(&mut read).unwrap();
        assert!(read == expected, "{} bytes differ", read.len());
    }
}

#[test]
fn pieces_of_any_size_arrive_as_they_were_sent() {
    let setting = Setting::new();
    let identity = setting.world.identity(&["origin.test"]);
    let port = serve_tls(server(&identity, &[]), |stream| talk(stream, (2, 1))).port();
    let old = serve_tls(server_12(&identity), |stream| talk(stream, (2, 1))).port();
    let plain = serve(|mut stream| talk(&mut stream, (2, 1))).port();
    for port in [port, old] {
        let mut client = setting.client(&setting.trusting(&[]), port);
        talk(&mut client, (1, 2));
        let issuer = client.conn.peer_certificates().unwrap()[1].clone();
        assert_eq!(issuer.as_ref(), setting.authority.der(), "it went through our hands");
    }
    talk(&mut setting.tunnel(plain), (1, 2));
    assert_eq!(setting.tapped().incidents(), []);
}

#[test]
fn each_side_may_end_before_the_other() {
    let setting = Setting::new();
    let identity = setting.world.identity(&["origin.test"]);
    let answer = |question: Vec<u8>| question.iter().rev().copied().cycle().take(1_000_000).collect::<Vec<u8>>();
    let plain = serve(move |mut stream| {
        let mut question = Vec::new();
        stream.read_to_end(&mut question).unwrap();
        stream.write_all(&answer(question)).unwrap();
    });
    let closing = serve_tls(server(&identity, &[]), move |stream| {
        let mut question = Vec::new();
        stream.read_to_end(&mut question).unwrap();
        stream.write_all(&answer(question)).unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    });
    let expected = answer(b"question".to_vec());
    let mut socket = setting.tunnel(plain.port());
    socket.write_all(b"question").unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut read = Vec::new();
    socket.read_to_end(&mut read).unwrap();
    assert!(read == expected);
    let mut client = setting.client(&setting.trusting(&[]), closing.port());
    client.write_all(b"question").unwrap();
    client.conn.send_close_notify();
    client.flush().unwrap();
    let mut read = Vec::new();
    client.read_to_end(&mut read).unwrap();
    assert!(read == expected);
}

#[test]
fn a_server_may_speak_first_and_be_no_tls() {
    let setting = Setting::new();
    let port = serve(|mut stream| {
        stream.write_all(b"220 ready\r\n").unwrap();
        let mut line = [0; 6];
        stream.read_exact(&mut line).unwrap();
        stream.write_all(&line).unwrap();
    })
    .port();
    let mut socket = setting.tunnel(port);
    let mut line = [0; 11];
    socket.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"220 ready\r\n");
    socket.write_all(b"QUIT\r\n").unwrap();
    let mut line = [0; 6];
    socket.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"QUIT\r\n");
}

#[test]
fn who_does_not_read_holds_the_other_up() {
    const WHOLE: usize = 64 << 20;
    /// What systems keep on three sockets, and we ourselves.
    const HELD_UP: usize = 24 << 20;
    let setting = Setting::with(|config, _| config.tap = false);
    let identity = setting.world.identity(&["origin.test"]);
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let port = serve_tls(server(&identity, &[]), move |stream| {
        let mut go = [0; 2];
        stream.read_exact(&mut go).unwrap();
        let block = [7; 16 << 10];
        while counted.load(Ordering::SeqCst) < WHOLE {
            stream.write_all(&block).unwrap();
            counted.fetch_add(block.len(), Ordering::SeqCst);
        }
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    })
    .port();
    let mut client = setting.client(&setting.trusting(&[]), port);
    client.write_all(b"go").unwrap();
    let (mut before, began) = (usize::MAX, Instant::now());
    loop {
        thread::sleep(Duration::from_millis(300));
        let now = sent.load(Ordering::SeqCst);
        if now == before {
            break;
        }
        before = now;
        assert!(began.elapsed() < PATIENCE);
    }
    assert!((1..HELD_UP).contains(&before), "{before} bytes were taken from the server");
    let mut read = Vec::new();
    client.read_to_end(&mut read).unwrap();
    assert!(read.len() == WHOLE && read.iter().all(|&byte| byte == 7));
}

#[test]
fn what_is_no_tls_we_can_answer_goes_by_untouched() {
    let setting = Setting::new();
    let port = serve(|mut stream| {
        let mut buffer = [0; 1024];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            stream.write_all(&buffer[..read]).unwrap();
        }
    })
    .port();
    // A hello of TLS 1.0 with one old suite; records of no hello; no records.
    let mut old = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 1];
    old.extend([5; 32]);
    old.extend([0, 0, 2, 0, 5, 1, 0]);
    for bytes in [&old[..], &[22, 3, 1, 0, 4, 2, 0, 0, 0], &[0x16, 0x04, 1, 2, 3], b"\x10\x0cMQTT"] {
        let mut socket: TcpStream = setting.tunnel(port);
        socket.write_all(bytes).unwrap();
        let mut read = vec![0; bytes.len()];
        socket.read_exact(&mut read).unwrap();
        assert_eq!(read, bytes);
    }
    let told = setting.tapped().incidents();
    assert_eq!(told.len(), 1, "only the old hello is TLS: {told:?}");
    assert!(told[0].1.contains("passed through"), "{told:?}");
}
