//! The traffic of the shipped demo: a fictitious travel app, 绿途出行 (`com.example.lvtu`), on a test phone, for about
//! forty seconds from launch. Hosts of SDKs are real, addresses are of the documentation ranges, identifiers are
//! invented but well formed. The policy it is held against is `captures/demo/policy.txt`.

mod place;
mod sdk;

use super::file::PcapNg;
use super::http::{self, Turn, get, gzip, message, no_content, ok, ok_gzip_chunked, post};
use super::link::Link;
use super::packet::{Packet, lookup};
use super::tcp::{Connection, disordered};
use super::tls::Authority;
use super::{MS, Order, Way};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(crate) const PACKAGE: &str = "com.example.lvtu";
pub(crate) const APP_NAME: &str = "绿途出行";
pub(crate) const UID: i32 = 10_231;

/// The values of `captures/demo/device.toml`.
pub(crate) const IMEI: &str = "867530040172932";
pub(crate) const ANDROID_ID: &str = "b7c1e5420d9fa683";
pub(crate) const MAC: &str = "4A:3D:91:0C:E7:26";
pub(crate) const OAID: &str = "5d0c8a72-94e1-4f36-b2a7-1c6e09f3d845";
pub(crate) const PHONE: &str = "13900001234";
pub(crate) const NICKNAME: &str = "山野行者";
pub(crate) const CLIPBOARD: &str = "lvtu-canary-7f3a 周六断桥见";
pub(crate) const MODEL: &str = "LVX-AL10";
pub(crate) const BSSID: &str = "4a:3d:91:a0:11:7c";
/// Latitude and longitude, WGS-84.
pub(crate) const PLACE: (f64, f64) = (30.243_962, 120.150_124);

const JSON: &str = "application/json; charset=utf-8";
const FORM: &str = "application/x-www-form-urlencoded";
const API: &str = "api.lvtu.example";
const PHONE_IP: Ipv4Addr = Ipv4Addr::new(10, 215, 173, 1);

/// 2023-10-12T10:00:00+08:00, the launch.
const START: i64 = 1_697_076_000 * 1_000_000_000;

/// The capture: PCAPdroid's shape, raw IP with a Decryption Secrets Block behind the packets that need it.
pub(crate) fn capture() -> Vec<u8> {
    let mut scene = Scene::new();
    before_consent(&mut scene);
    after_consent(&mut scene);
    sdk::after_consent(&mut scene);
    scene.into_file()
}

fn before_consent(scene: &mut Scene) {
    scene.tls(
        300,
        API,
        0,
        vec![
            turn(get(API, "/v1/config?channel=official&ver=3.8.1", &[]), ok_gzip_chunked(CONFIG)),
            turn(
                get(API, "/v1/privacy/version", &[]),
                ok(r#"{"code":0,"data":{"version":"2023-09-01","must_agree":true}}"#),
            ),
            turn(
                get(API, "/v1/banner?slot=splash", &[]),
                ok(r#"{"code":0,"data":[{"id":17,"img":"splash/20231001.webp"}]}"#),
            ),
        ],
    );
    let static_host = "img.lvtu.example";
    let picture = |seed: u8| (0..900u32).map(|n| (n * n % 251) as u8 ^ seed).collect::<Vec<u8>>();
    let image =
        |seed| message("HTTP/1.1 200 OK", &[("Content-Type", "image/webp"), ("ETag", "\"a17\"")], Some(&picture(seed)));
    scene.clear(
        700,
        static_host,
        vec![
            turn(get(static_host, "/splash/20231001.webp", &[]), image(3)),
            turn(
                get(static_host, "/icon/bus.webp", &[("If-None-Match", "\"a17\"")]),
                b"HTTP/1.1 304 Not Modified\r\nETag: \"a17\"\r\n\r\n".to_vec(),
            ),
            turn(get(static_host, "/icon/bike.webp", &[]), image(9)),
            turn(
                message("HEAD /font/lvtu.woff2 HTTP/1.1", &[("Host", static_host)], None),
                b"HTTP/1.1 200 OK\r\nContent-Type: font/woff2\r\nContent-Length: 48211\r\n\r\n".to_vec(),
            ),
        ],
    );
    sdk::before_consent(scene);
}

fn after_consent(scene: &mut Scene) {
    let activate = format!(
        r#"{{"event":"activate","channel":"official","device":{{"oaid":"{OAID}","android_id":"{ANDROID_ID}","imei":"{IMEI}","model":"{MODEL}"}}}}"#
    );
    scene.tls_disordered(
        9_000,
        API,
        1,
        vec![
            turn(
                post(API, "/v1/device/activate", JSON, &[("Content-Encoding", "gzip")], &gzip(activate.as_bytes())),
                ok(r#"{"code":0,"data":{"did":"D7Q2M0"}}"#),
            ),
            turn(get(API, "/v1/city/list?page=1", &[]), ok_gzip_chunked(CITIES)),
            turn(get(API, "/v1/notice?since=0", &[]), ok(r#"{"code":0,"data":[]}"#)),
        ],
    );
    let log_host = "log.lvtu.example";
    let beacon = |event: &str| {
        get(log_host, &format!("/t.gif?ev={event}&mac={}&v=3.8.1", MAC.replace(':', "%3A").to_lowercase()), &[])
    };
    let pixel =
        || message("HTTP/1.1 200 OK", &[("Content-Type", "image/gif")], Some(b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"));
    scene.clear(
        9_600,
        log_host,
        vec![turn(beacon("launch"), pixel()), turn(beacon("home"), pixel()), turn(beacon("login"), pixel())],
    );
    let login = format!(r#"{{"phone":"+86{PHONE}","code":"402917","nickname":"{NICKNAME}"}}"#);
    let session = [("Cookie", "lvtu_sid=s.8f41c0; theme=light")];
    let (lat, lng) = PLACE;
    scene.tls(
        13_000,
        API,
        0,
        vec![
            turn(
                post(API, "/v1/sms/send", FORM, &[], format!("phone={PHONE}&scene=login").as_bytes()),
                ok(r#"{"code":0}"#),
            ),
            turn(
                post(API, "/v1/login", JSON, &[], login.as_bytes()),
                message(
                    "HTTP/1.1 200 OK",
                    &[("Content-Type", JSON), ("Set-Cookie", "lvtu_sid=s.8f41c0; Path=/; Secure")],
                    Some(br#"{"code":0,"data":{"level":2}}"#),
                ),
            ),
            turn(get(API, "/v1/coupon?status=valid", &session), ok(r#"{"code":0,"data":[{"id":88,"cut":300}]}"#)),
            turn(get(API, &format!("/v1/nearby?lat={lat}&lng={lng}&r=500"), &session), ok_gzip_chunked(STATIONS)),
            turn(get(API, "/v1/line/k7?dir=0", &session), ok(r#"{"code":0,"data":{"stops":23}}"#)),
        ],
    );
    let avatar = avatar_form();
    scene.tls_v6(
        20_000,
        API,
        2,
        vec![
            turn(
                post(API, "/v1/user/avatar", "multipart/form-data; boundary=lvtu7d1b", &session, &avatar),
                ok(r#"{"code":0}"#),
            ),
            turn(get(API, "/v1/trip/recent?n=5", &session), ok(r#"{"code":0,"data":[{"from":"断桥","to":"城站"}]}"#)),
        ],
    );
    let search = format!(r#"{{"keyword":"断桥","source":"paste","paste_text":"{CLIPBOARD}"}}"#);
    scene.tls(
        24_000,
        API,
        3,
        vec![
            turn(
                post(API, "/v1/search/suggest", JSON, &session, search.as_bytes()),
                ok(r#"{"code":0,"data":["断桥残雪","断桥公交站"]}"#),
            ),
            turn(
                post(API, "/v1/order/quote", JSON, &session, br#"{"line":"k7","count":1}"#),
                ok(r#"{"code":0,"data":{"fen":200}}"#),
            ),
            turn(get(API, "/v1/weather?city=hangzhou", &session), ok(r#"{"code":0,"data":{"t":21,"sky":"clear"}}"#)),
        ],
    );
    let heartbeat = || turn(post(API, "/v1/heartbeat", JSON, &session, br#"{"state":"foreground"}"#), no_content());
    scene.tls(33_000, API, 0, vec![heartbeat(), heartbeat(), heartbeat()]);
}

/// A multipart body with a text part and a small picture (RFC 7578).
fn avatar_form() -> Vec<u8> {
    let mut body =
        format!("--lvtu7d1b\r\nContent-Disposition: form-data; name=\"nickname\"\r\n\r\n{NICKNAME}\r\n").into_bytes();
    body.extend(b"--lvtu7d1b\r\nContent-Disposition: form-data; name=\"avatar\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n");
    body.extend([0xff, 0xd8, 0xff, 0xe0]);
    body.extend((0..1_600u32).map(|n| (n * 7 % 253) as u8));
    body.extend(b"\r\n--lvtu7d1b--\r\n");
    body
}

fn turn(request: Vec<u8>, response: Vec<u8>) -> Turn {
    Turn { request, response }
}

/// What has happened so far.
struct Scene {
    authority: Authority,
    packets: Vec<Packet>,
    keys: String,
    hosts: Vec<String>,
    next_port: u16,
}

impl Scene {
    fn new() -> Self {
        Self {
            authority: Authority::new(),
            packets: Vec::new(),
            keys: String::new(),
            hosts: Vec::new(),
            next_port: 40_112,
        }
    }

    /// A TLS conversation whose keys are kept.
    fn tls(&mut self, at_ms: i64, host: &str, suite: usize, turns: Vec<Turn>) {
        let packets = self.tls_packets(at_ms, host, suite, &turns);
        self.packets.extend(packets);
    }

    /// The same, with segments swapped and repeated.
    fn tls_disordered(&mut self, at_ms: i64, host: &str, suite: usize, turns: Vec<Turn>) {
        let packets = self.tls_packets(at_ms, host, suite, &turns);
        self.packets.extend(disordered(&packets));
    }

    fn tls_packets(&mut self, at_ms: i64, host: &str, suite: usize, turns: &[Turn]) -> Vec<Packet> {
        let (client, server, at) = self.endpoints(at_ms, host, 443);
        let (packets, keys) = http::over_tls(&self.authority, (host, suite), (client, server), Some(UID), at, turns);
        self.keys += &keys;
        packets
    }

    /// The same over IPv6.
    fn tls_v6(&mut self, at_ms: i64, host: &str, suite: usize, turns: Vec<Turn>) {
        let client = SocketAddr::from((Ipv6Addr::new(0xfd00, 0x2, 0xfd00, 1, 0xfd00, 1, 0xfd00, 1), self.port()));
        let server = SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0x17, 0, 0, 0, 0, 0x20), 443));
        let at = START + at_ms * MS;
        let (stub, resolver) = self.resolver();
        self.packets.extend(named(lookup(stub, resolver, host, server.ip(), at - 30 * MS)));
        let (packets, keys) = http::over_tls(&self.authority, (host, suite), (client, server), Some(UID), at, &turns);
        self.keys += &keys;
        self.packets.extend(packets);
    }

    /// A TLS conversation whose keys nobody logged.
    fn tls_without_keys(&mut self, at_ms: i64, host: &str, turns: Vec<Turn>) {
        let (client, server, at) = self.endpoints(at_ms, host, 443);
        let (packets, _) = http::over_tls(&self.authority, (host, 0), (client, server), Some(UID), at, &turns);
        self.packets.extend(packets);
    }

    fn clear(&mut self, at_ms: i64, host: &str, turns: Vec<Turn>) {
        let (client, server, at) = self.endpoints(at_ms, host, 80);
        self.packets.extend(http::clear_text(client, server, Some(UID), at, &turns));
    }

    /// Bytes of a protocol that is not HTTP.
    fn binary(&mut self, at_ms: i64, host: &str, port: u16, messages: &[(Way, Vec<u8>)]) {
        let (client, server, at) = self.endpoints(at_ms, host, port);
        let mut connection = Connection::open(client, server, Some(UID), at);
        for (way, bytes) in messages {
            connection.send(*way, bytes);
        }
        self.packets.extend(connection.close());
    }

    /// Looks `host` up and gives both ends and the time to connect at.
    fn endpoints(&mut self, at_ms: i64, host: &str, port: u16) -> (SocketAddr, SocketAddr, i64) {
        let index = self.hosts.iter().position(|known| known == host).unwrap_or_else(|| {
            self.hosts.push(host.to_owned());
            self.hosts.len() - 1
        });
        let address = IpAddr::from([203, 0, 113, u8::try_from(10 + index).expect("a few hosts")]);
        let at = START + at_ms * MS;
        let (client, resolver) = self.resolver();
        self.packets.extend(named(lookup(client, resolver, host, address, at - 30 * MS)));
        ((PHONE_IP, self.port()).into(), SocketAddr::new(address, port), at)
    }

    fn resolver(&mut self) -> (SocketAddr, SocketAddr) {
        ((PHONE_IP, self.port()).into(), (Ipv4Addr::new(10, 215, 173, 2), 53).into())
    }

    fn port(&mut self) -> u16 {
        self.next_port += 2;
        self.next_port
    }

    fn into_file(mut self) -> Vec<u8> {
        self.packets.sort_by_key(|packet| packet.ts);
        let mut file = PcapNg::new(Order::Little);
        let interface = file.interface(Link::Raw, None);
        file.uid_map(UID, PACKAGE, APP_NAME);
        for packet in &self.packets {
            file.packet(interface, packet);
        }
        file.secrets(&self.keys);
        file.into_bytes()
    }
}

/// Marks a look-up as the app's own, as PCAPdroid does in VPN mode.
fn named(packets: [Packet; 2]) -> [Packet; 2] {
    packets.map(|packet| Packet { uid: Some(UID), ..packet })
}

const CONFIG: &str = r#"{"code":0,"data":{"refresh":900,"features":{"bus":true,"bike":true,"taxi":false},"map":"amap","hotline":"400-000-0000","cdn":"img.lvtu.example"}}"#;
const CITIES: &str = r#"{"code":0,"data":[{"id":330100,"name":"杭州"},{"id":320500,"name":"苏州"},{"id":310000,"name":"上海"},{"id":320100,"name":"南京"}]}"#;
const STATIONS: &str =
    r#"{"code":0,"data":[{"id":"bs_2201","name":"断桥","bikes":6},{"id":"bs_2207","name":"少年宫","bikes":11}]}"#;
