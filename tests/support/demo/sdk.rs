//! What the third parties inside the demo app send.

use super::place::gcj02;
use super::{ANDROID_ID, BSSID, FORM, IMEI, JSON, MODEL, OAID, PHONE, PLACE, Scene, turn};
use crate::support::Way;
use crate::support::http::{get, gzip, no_content, ok, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

/// A push SDK reports the phone before the user has agreed to anything, and opens its own binary connection.
pub(super) fn before_consent(scene: &mut Scene) {
    let host = "stats.jpush.cn";
    let report = format!(
        r#"{{"type":"device_info","platform":"a","android_id":"{ANDROID_ID}","imei_md5":"{}","model":"{MODEL}"}}"#,
        md5_hex(IMEI)
    );
    scene.tls(2_000, host, 0, vec![turn(post(host, "/v3/report", JSON, &[], report.as_bytes()), ok(r#"{"code":0}"#))]);
    let frame = |kind: u8| (0..120u32).map(|n| (n.wrapping_mul(167) >> 2) as u8 ^ kind).collect::<Vec<u8>>();
    let messages = [
        (Way::ToServer, frame(0x91)),
        (Way::ToClient, frame(0x44)),
        (Way::ToServer, frame(0x17)),
        (Way::ToClient, frame(0xc8)),
    ];
    scene.binary(2_600, "im64.jpush.cn", 7_002, &messages);
}

/// Everything the SDKs send once the dialogue is closed.
pub(super) fn after_consent(scene: &mut Scene) {
    let host = "stats.jpush.cn";
    let report = format!(r#"{{"type":"active_launch","oaid":"{OAID}"}}"#);
    scene.tls(
        12_000,
        host,
        0,
        vec![
            turn(
                post(host, "/v3/report", JSON, &[("Content-Encoding", "gzip")], &gzip(report.as_bytes())),
                ok(r#"{"code":0}"#),
            ),
            turn(
                post(host, "/v3/report", JSON, &[], br#"{"type":"active_terminate","duration":28}"#),
                ok(r#"{"code":0}"#),
            ),
        ],
    );
    statistics(scene);
    push_alias(scene);
    positioning(scene);
    crash_reports(scene);
    undeclared(scene);
    // Pinned: the session is there, its keys are not.
    let host = "open.weixin.qq.com";
    scene.tls_without_keys(
        30_000,
        host,
        vec![
            turn(post(host, "/connect/sdk/launch", FORM, &[], format!("d={ANDROID_ID}").as_bytes()), ok("{}")),
            turn(get(host, "/connect/sdk/config", &[]), ok("{}")),
        ],
    );
}

/// JSON inside base64 inside JSON.
fn statistics(scene: &mut Scene) {
    let host = "ulogs.umeng.com";
    let inner = format!(r#"{{"header":{{"oaid":"{OAID}","imei":"{IMEI}"}},"sessions":[{{"pages":3}}]}}"#);
    let body = |seq: u32| format!(r#"{{"ver":"9.6","seq":{seq},"payload":"{}"}}"#, STANDARD.encode(&inner));
    scene.tls(
        10_000,
        host,
        4,
        vec![
            turn(post(host, "/unify_logs", JSON, &[], body(1).as_bytes()), ok(r#"{"ok":1}"#)),
            turn(post(host, "/unify_logs", JSON, &[], body(2).as_bytes()), ok(r#"{"ok":1}"#)),
        ],
    );
}

/// The telephone number as the alias of a push token.
fn push_alias(scene: &mut Scene) {
    let host = "c-hzgt2.getui.com";
    let token = format!("clientid=4e1fd0b7c2&oaid={OAID}");
    let alias = format!("clientid=4e1fd0b7c2&alias={PHONE}&action=bind");
    scene.tls(
        14_500,
        host,
        0,
        vec![
            turn(post(host, "/api.php?format=form&t=1", FORM, &[], token.as_bytes()), ok(r#"{"result":"ok"}"#)),
            turn(post(host, "/api.php?format=form&t=7", FORM, &[], alias.as_bytes()), ok(r#"{"result":"ok"}"#)),
        ],
    );
}

/// The place in GCJ-02 and the access point.
fn positioning(scene: &mut Scene) {
    let host = "apilocate.amap.com";
    let (lat, lon) = gcj02(PLACE);
    let fix = format!("output=json&location={lon:.6}%2C{lat:.6}&bssid={}", BSSID.replace(':', "%3A"));
    scene.tls(
        15_200,
        host,
        0,
        vec![
            turn(post(host, "/mobile/binary", FORM, &[], fix.as_bytes()), ok(r#"{"status":"1"}"#)),
            turn(
                get(host, "/v3/place/around?keywords=%E5%85%AC%E4%BA%A4&page=1", &[]),
                ok(r#"{"status":"1","pois":[]}"#),
            ),
        ],
    );
}

fn crash_reports(scene: &mut Scene) {
    let host = "android.bugly.qq.com";
    let report =
        format!(r#"{{"deviceId":"{ANDROID_ID}","model":"{MODEL}","type":"anr","stack":"at java.lang.Thread.sleep"}}"#);
    scene.tls(
        17_000,
        host,
        0,
        vec![turn(
            post(
                host,
                "/rqd/async",
                "application/octet-stream",
                &[("Content-Encoding", "gzip")],
                &gzip(report.as_bytes()),
            ),
            no_content(),
        )],
    );
}

/// Two receivers the policy does not know: an advertising network of no known name, and a statistics SDK.
fn undeclared(scene: &mut Scene) {
    let host = "bid.adflux.example";
    let bid =
        format!(r#"{{"id":"b-71","imp":[{{"w":640,"h":100}}],"device":{{"oaid":"{OAID}","dpid":"{ANDROID_ID}"}}}}"#);
    scene.tls(
        26_000,
        host,
        0,
        vec![
            turn(
                post(host, "/rtb/2.5/bid", JSON, &[], bid.as_bytes()),
                ok(r#"{"bid":[{"price":0.42,"adm":"https://cdn.adflux.example/a/7"}]}"#),
            ),
            turn(post(host, "/rtb/2.5/win?b=b-71", JSON, &[], b"{}"), no_content()),
        ],
    );
    let host = "imp.adflux.example";
    let (lat, lon) = PLACE;
    let agent = format!("Dalvik/2.1.0 (Linux; U; Android 13; {MODEL} Build/TP1A.220905.001)");
    scene.clear(
        27_000,
        host,
        vec![
            turn(get(host, &format!("/i?b=b-71&geo={lat:.5},{lon:.5}"), &[("User-Agent", &agent)]), no_content()),
            turn(get(host, "/c?b=b-71", &[]), no_content()),
        ],
    );
    let host = "sdk.talkingdata.com";
    let events = format!(r#"{{"app":"7b21","events":[{{"id":"open","n":1}}],"device":"{}"}}"#, md5_hex(OAID));
    scene.tls(28_000, host, 0, vec![turn(post(host, "/g/d", JSON, &[], events.as_bytes()), ok(r#"{"r":0}"#))]);
}

fn md5_hex(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
