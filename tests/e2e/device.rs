//! `divulge device` against a phone that is played: after a set-up it is as wanted, after its undoing exactly as before,
//! whatever went wrong in between.

use crate::run::{assert_one_line, status, stderr, stdout};
use crate::support::phone::{Phone, authority};
use divulge::device::{Adb, Apps, Phone as Connected, Watch};
use divulge::rules::{RuleSet, parse_profile};
use serde_json::{Value, json};
use std::fs;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

const STORE: &str = "/system/etc/security/cacerts";
const APEX: &str = "/apex/com.android.conscrypt/cacerts";
/// The certificate's name in a store.
const NAME: &str = "0aa8cfd5.0";
const APP: &str = "com.example.lvtu";
const PATIENCE: Duration = Duration::from_secs(20);

fn set_up(phone: &Phone, more: &[&str]) -> Output {
    let authority = authority();
    let mut args = vec!["setup", "--ca", authority.to_str().expect("UTF-8")];
    args.extend(more);
    phone.device(&args)
}

fn assert_done(output: &Output) {
    assert_eq!(status(output), 0, "{}{}", stdout(output), stderr(output));
}

/// It failed, in words that say all of these.
fn assert_failed(output: &Output, words: &[&str]) {
    assert_eq!(status(output), 2, "{}{}", stdout(output), stderr(output));
    for word in words {
        assert!(stderr(output).contains(word), "no `{word}` in: {}", stderr(output));
    }
}

/// The phone is as it was, and so is this computer.
fn assert_untouched(phone: &Phone, before: &(Value, std::collections::BTreeMap<std::path::PathBuf, String>)) {
    let after = phone.everything();
    assert_eq!(after.0, before.0);
    assert_eq!(after.1, before.1);
    assert_eq!(phone.journals(), Vec::<String>::new());
}

fn restore(phone: &Phone) {
    assert_done(&phone.device(&["restore"]));
}

fn chain<'s>(state: &'s Value, program: &str, table: &str) -> Vec<&'s str> {
    let rules = state["iptables"][program][table]["DIVULGE"].as_array();
    rules.map(|rules| rules.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

fn mounts_of(phone: &Phone, pid: u32) -> String {
    fs::read_to_string(phone.file(&format!("/proc/{pid}/mounts"))).expect("mounts")
}

#[test]
fn android_14_trusts_the_certificate_in_every_namespace() {
    let phone = Phone::new("android14");
    let before = phone.everything();
    assert_done(&set_up(&phone, &["--proxy", "10.0.0.2:8080", "--app", APP]));
    let state = phone.state();
    let pem = fs::read_to_string(phone.file(&format!("{STORE}/{NAME}"))).expect("the certificate");
    assert_eq!(pem, fs::read_to_string(authority()).expect("a file"));
    // The certificates of the APEX are the newer ones.
    let kept = fs::read_to_string(phone.file(&format!("{STORE}/00000001.0"))).expect("the system's own");
    assert_eq!(kept, "certificate 1 of the APEX\n");
    for pid in [700, 1200, 1201] {
        assert!(mounts_of(&phone, pid).contains(&format!("{} tmpfs", phone.file(APEX).display())), "{pid}");
    }
    assert!(
        !phone.file("/data/local/tmp/divulge-ca.pem").exists() && !phone.file("/data/local/tmp/divulge-ca").exists()
    );
    assert_eq!(state["effective_proxy"], "10.0.0.2:8080");
    let quic = "-m owner --uid-owner 10101 -p udp -m udp --dport 443 -j REJECT --reject-with icmp-port-unreachable";
    for program in ["iptables", "ip6tables"] {
        assert_eq!(chain(&state, program, "filter"), [quic]);
        assert_eq!(state["iptables"][program]["filter"]["OUTPUT"], json!(["-j DIVULGE", "-j bw_OUTPUT"]));
    }
    let doctor = phone.device(&["doctor", "--proxy", "10.0.0.2:8080", "--app", APP]);
    assert_eq!(status(&doctor), 0, "{}", stdout(&doctor));
    restore(&phone);
    assert_untouched(&phone, &before);
    // Once more there is nothing to do.
    restore(&phone);
    assert_untouched(&phone, &before);
}

#[test]
fn android_8_needs_neither_namespaces_nor_a_waiting_iptables() {
    let phone = Phone::new("android8");
    let before = phone.everything();
    let done = set_up(&phone, &["--proxy", "my-computer.lan:8080"]);
    assert_done(&done);
    let state = phone.state();
    assert!(phone.file(&format!("{STORE}/{NAME}")).exists() && phone.file(&format!("{STORE}/00000002.0")).exists());
    assert!(mounts_of(&phone, 1300).contains("divulge "));
    assert_eq!(state["effective_proxy"], "my-computer.lan:8080");
    assert_eq!(chain(&state, "iptables", "filter").len(), 1);
    restore(&phone);
    assert_untouched(&phone, &before);
}

#[test]
fn a_redirection_over_the_cable_is_for_the_app_alone() {
    let phone = Phone::new("android11");
    let before = phone.everything();
    assert_done(&set_up(&phone, &["--proxy", "127.0.0.1:8080", "--reverse", "--redirect", "--app", APP]));
    let state = phone.state();
    assert_eq!(state["reverse"], json!({ "tcp:8080": "tcp:8080" }));
    assert_eq!(
        chain(&state, "iptables", "nat"),
        ["-d 127.0.0.0/8 -j RETURN", "-m owner --uid-owner 10101 -p tcp -j REDIRECT --to-ports 8080"]
    );
    assert_eq!(chain(&state, "iptables", "filter").len(), 1);
    let v6 = chain(&state, "ip6tables", "filter");
    assert!(v6.iter().any(|rule| rule.contains("--uid-owner 10101 -p tcp -j REJECT")), "{v6:?}");
    assert_eq!(state["effective_proxy"], Value::Null);
    let doctor = phone.device(&["doctor", "--proxy", "127.0.0.1:8080", "--app", APP]);
    assert_eq!(status(&doctor), 0, "{}", stdout(&doctor));
    // The cable was out.
    phone.change(|state| state["reverse"] = json!({}));
    let doctor = phone.device(&["doctor", "--proxy", "127.0.0.1:8080", "--app", APP]);
    assert_eq!(status(&doctor), 1);
    assert!(stdout(&doctor).contains("reverse tcp:8080 tcp:8080"), "{}", stdout(&doctor));
    restore(&phone);
    assert_untouched(&phone, &before);
}

#[test]
fn a_redirection_to_another_address_shuts_ipv6() {
    let phone = Phone::new("android14");
    let before = phone.everything();
    assert_done(&set_up(&phone, &["--proxy", "10.0.0.2:8080", "--redirect", "--app", APP, "--keep-quic"]));
    let state = phone.state();
    let nat = chain(&state, "iptables", "nat");
    assert!(nat[1].ends_with("-j DNAT --to-destination 10.0.0.2:8080"), "{nat:?}");
    assert_eq!(chain(&state, "iptables", "filter"), Vec::<&str>::new());
    assert_eq!(chain(&state, "ip6tables", "filter").len(), 2);
    restore(&phone);
    assert_untouched(&phone, &before);
}

#[test]
fn a_work_profile_is_seen_to_as_well() {
    let phone = Phone::with("android14", |state| state["users"]["10"] = json!({ APP: 1_010_101 }));
    let before = phone.everything();
    assert_done(&phone.device(&["setup", "--proxy", "10.0.0.2:8080", "--app", APP]));
    let state = phone.state();
    let rules = chain(&state, "iptables", "filter");
    let owners: Vec<&str> = rules.iter().filter_map(|rule| rule.split(' ').nth(3)).collect();
    assert_eq!(owners, ["10101", "1010101"]);
    restore(&phone);
    assert_untouched(&phone, &before);
}

#[test]
fn every_way_to_be_root_is_found() {
    for (su, adbd, name) in [("aosp", 2000, "su 0"), ("root_only", 2000, "su root"), ("none", 0, "adb is root")] {
        let phone = Phone::with("emulator15", |state| {
            state["su"] = json!(su);
            state["adbd_uid"] = json!(adbd);
        });
        let doctor = phone.device(&["doctor"]);
        assert_eq!(status(&doctor), 1, "{}", stderr(&doctor));
        let text = stdout(&doctor);
        assert!(text.lines().any(|line| line.starts_with("ok") && line.ends_with(name)), "{text}");
        assert!(text.contains("emulator"), "{text}");
        if su != "aosp" {
            continue;
        }
        let before = phone.everything();
        let authority = authority();
        let args = ["--proxy", "10.0.2.2:8080", "--keep-quic", "--ca", authority.to_str().expect("UTF-8")];
        assert_done(&phone.device(&[&["setup"], &args[..]].concat()));
        assert!(phone.file(&format!("{APEX}/{NAME}")).exists());
        restore(&phone);
        assert_untouched(&phone, &before);
    }
}

#[test]
fn without_root_each_way_that_was_tried_is_told() {
    for (su, word) in [("none", "not found"), ("denied", "Permission denied"), ("prompt", "no answer in 1 s")] {
        let phone = Phone::with("android11", |state| state["su"] = json!(su));
        let before = phone.everything();
        let failed = set_up(&phone, &["--proxy", "10.0.0.2:8080", "--timeout", "1"]);
        assert_failed(&failed, &["no root", "adb is uid 2000", "`su 0`", "`su -c`", word, "adb root"]);
        assert_untouched(&phone, &before);
    }
    let phone = Phone::with("android11", |state| state["su"] = json!("none"));
    let doctor = phone.device(&["doctor"]);
    assert_eq!(status(&doctor), 1, "{}", stderr(&doctor));
    assert!(stdout(&doctor).contains("MISSING  root"), "{}", stdout(&doctor));
    // What needs no root goes without.
    let before = phone.everything();
    assert_done(&phone.device(&["setup", "--proxy", "10.0.0.2:8080", "--keep-quic"]));
    assert_eq!(phone.state()["effective_proxy"], "10.0.0.2:8080");
    restore(&phone);
    assert_untouched(&phone, &before);
}

#[test]
fn each_state_of_a_phone_has_its_own_message() {
    for (devices, words) in [
        (json!([]), ["no phone", "USB debugging"]),
        (json!([["A", "unauthorized"]]), ["A is unauthorized", "allow USB debugging"]),
        (json!([["A", "offline"]]), ["A is offline", "reconnect"]),
        (json!([["A", "device"], ["B", "device"]]), ["A, B", "--serial"]),
        (json!([["A", "recovery"]]), ["A can't be used", "recovery"]),
    ] {
        let phone = Phone::with("android11", |state| state["devices"] = devices);
        for command in [&["doctor"][..], &["setup", "--proxy", "10.0.0.2:8080"]] {
            let output = phone.device(command);
            assert_eq!(status(&output), 2, "{command:?}");
            assert_one_line(&output, &words);
        }
    }
    let phone = Phone::with("android11", |state| state["devices"] = json!([["A", "device"], ["B", "unauthorized"]]));
    assert_one_line(&phone.device(&["restore", "--serial", "C"]), &["no phone C", "A, B"]);
    assert_one_line(&phone.device(&["restore", "--serial", "B"]), &["B is unauthorized"]);
    let chosen = phone.command(&["restore"]).env("ANDROID_SERIAL", "B").output().expect("the program runs");
    assert_one_line(&chosen, &["B is unauthorized"]);
    // The only one that can be used is meant.
    assert_done(&phone.device(&["restore"]));
    let none = phone.command(&["doctor"]).env("ADB", "no-such-adb").output().expect("the program runs");
    assert_eq!(status(&none), 2);
    assert_one_line(&none, &["no-such-adb", "platform-tools"]);
}

#[test]
fn a_failure_half_way_leaves_the_phone_as_it_was() {
    // The first way into a chain, and the last of all.
    for at in [3, 6] {
        let phone = Phone::with("android14", |state| state["iptables_fails_at"] = json!(at));
        let before = phone.everything();
        let failed = set_up(&phone, &["--proxy", "10.0.0.2:8080"]);
        assert_failed(&failed, &["Operation not supported", "undone"]);
        assert_untouched(&phone, &before);
    }
    for (change, words) in [
        (json!({ "mount_fails": STORE }), ["Permission denied", "undone"]),
        (json!({ "mount_fails": APEX }), ["Permission denied", "undone"]),
        (json!({ "isolated_su": true }), ["Mount Namespace Mode", "undone"]),
    ] {
        let phone = Phone::with("android14", |state| {
            state.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        });
        let before = phone.everything();
        assert_failed(&set_up(&phone, &["--proxy", "10.0.0.2:8080"]), &words);
        assert_untouched(&phone, &before);
    }
}

#[test]
fn a_phone_that_vanishes_half_way_is_put_right_when_it_is_back() {
    let counting = Phone::new("android14");
    assert_done(&set_up(&counting, &["--proxy", "10.0.0.2:8080"]));
    let log = fs::read_to_string(counting.at("phone/calls.log")).expect("a log");
    let calls = log.lines().filter(|line| !line.contains("\"version\"") && !line.contains("\"devices\"")).count();
    for after in (8..calls).step_by(6) {
        let phone = Phone::new("android14");
        let before = phone.everything();
        phone.change(|state| state["vanish_after"] = json!(after));
        let failed = set_up(&phone, &["--proxy", "10.0.0.2:8080"]);
        assert_failed(&failed, &["the phone is gone"]);
        let begun = !phone.journals().is_empty();
        assert_eq!(begun, stderr(&failed).contains("divulge device restore"), "{after}: {}", stderr(&failed));
        phone.change(|state| {
            state.as_object_mut().expect("an object").remove("vanish_after");
            state["devices"] = json!([["R58M123ABC", "device"]]);
        });
        restore(&phone);
        assert_untouched(&phone, &before);
    }
}

#[test]
fn a_reboot_undoes_all_but_the_proxy_and_restore_the_rest() {
    for root in ["magisk", "none"] {
        let phone = Phone::new("android14");
        let before = phone.everything();
        assert_done(&set_up(&phone, &["--proxy", "10.0.0.2:8080"]));
        phone.reboot();
        assert_eq!(phone.state()["effective_proxy"], "10.0.0.2:8080");
        let doctor = phone.device(&["doctor"]);
        assert_eq!(status(&doctor), 1);
        assert!(stdout(&doctor).contains("divulge device restore"), "{}", stdout(&doctor));
        // Root may be gone with it.
        phone.change(|state| state["su"] = json!(root));
        restore(&phone);
        phone.change(|state| state["su"] = json!("magisk"));
        let boot = "/proc/sys/kernel/random/boot_id";
        fs::write(phone.file(boot), &before.1[&phone.file(boot)]).expect("a file");
        assert_untouched(&phone, &before);
    }
}

#[test]
fn a_proxy_that_was_there_comes_back() {
    let copies = json!({
        "http_proxy": "10.1.1.1:3128",
        "global_http_proxy_host": "10.1.1.1",
        "global_http_proxy_port": "3128",
        "global_http_proxy_exclusion_list": "",
    });
    let phone = Phone::with("android11", |state| {
        state["settings"]["global"] = copies.clone();
        state["effective_proxy"] = json!("10.1.1.1:3128");
    });
    let before = phone.everything();
    assert_done(&phone.device(&["setup", "--proxy", "10.0.0.2:8080", "--keep-quic"]));
    assert_eq!(phone.state()["effective_proxy"], "10.0.0.2:8080");
    restore(&phone);
    assert_untouched(&phone, &before);
    // What somebody set meanwhile is theirs.
    assert_done(&phone.device(&["setup", "--proxy", "10.0.0.2:8080", "--keep-quic"]));
    phone.change(|state| state["settings"]["global"]["http_proxy"] = json!("10.2.2.2:1"));
    restore(&phone);
    assert_eq!(phone.state()["settings"]["global"]["http_proxy"], "10.2.2.2:1");
}

#[test]
fn settings_that_shell_may_not_write_are_written_as_root() {
    let phone = Phone::with("android11", |state| state["settings_need_root"] = json!(true));
    let before = phone.everything();
    assert_done(&phone.device(&["setup", "--proxy", "10.0.0.2:8080", "--keep-quic"]));
    assert_eq!(phone.state()["effective_proxy"], "10.0.0.2:8080");
    restore(&phone);
    assert_untouched(&phone, &before);
}

#[test]
fn what_is_set_up_is_not_set_up_again_and_is_cleared_without_a_journal() {
    let phone = Phone::new("android14");
    let before = phone.everything();
    assert_done(&set_up(&phone, &["--proxy", "10.0.0.2:8080"]));
    assert_failed(&set_up(&phone, &["--proxy", "10.0.0.2:8080"]), &["set up already", "divulge device restore"]);
    assert_eq!(phone.journals().len(), 1);
    // The journal is lost.
    fs::remove_dir_all(phone.at("state")).expect("it was there");
    assert_failed(&set_up(&phone, &["--proxy", "10.0.0.2:8080"]), &["no journal", "a chain DIVULGE", "--force"]);
    let told = phone.device(&["restore"]);
    assert_eq!(status(&told), 1);
    assert!(stderr(&told).contains("--force"), "{}", stderr(&told));
    assert_done(&phone.device(&["restore", "--force"]));
    assert_untouched(&phone, &before);
    assert_done(&phone.device(&["restore", "--force"]));
    assert_untouched(&phone, &before);
}

#[test]
fn wishes_that_can_not_be_fulfilled_change_nothing() {
    let phone = Phone::new("android11");
    let before = phone.everything();
    for (args, word) in [
        (&["--proxy", "127.0.0.1:8080"][..], "--reverse"),
        (&["--proxy", "10.0.0.2:8080", "--redirect"], "--app"),
        (&["--proxy", "10.0.0.2:8080", "--app", "com.example.none"], "com.example.none"),
        (&["--proxy", "http://10.0.0.2:8080"], "HOST:PORT"),
        (&["--proxy", "10.0.0.2:8080;reboot"], "HOST:PORT"),
    ] {
        assert_failed(&set_up(&phone, args), &[word]);
        assert_untouched(&phone, &before);
    }
    let no_certificate = phone.at("notes.txt");
    fs::write(&no_certificate, "no certificate").expect("a file");
    let args = ["setup", "--proxy", "10.0.0.2:8080", "--ca", no_certificate.to_str().expect("UTF-8")];
    assert_failed(&phone.device(&args), &["notes.txt", "no certificate"]);
    assert_untouched(&phone, &before);
}

#[cfg(unix)]
#[test]
fn the_journal_and_the_profile_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let phone = Phone::new("android11");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_done(&phone.device(&["setup", "--proxy", "10.0.0.2:8080"]));
    assert_eq!(mode(&phone.at("state/divulge/device-R58M123ABC.jsonl")), 0o600);
    assert_done(&phone.device(&["profile"]));
    assert_eq!(mode(&phone.at("device.toml")), 0o600);
}

/// Label, type and value of what a profile that was just written says, as the rules read it.
fn read_profile(phone: &Phone, args: &[&str]) -> (Vec<[String; 3]>, String) {
    assert_done(&phone.device(&[&["profile", "--force"], args].concat()));
    let text = fs::read_to_string(phone.at("device.toml")).expect("a profile");
    let rules = RuleSet::builtin().unwrap_or_else(|errors| panic!("{errors:?}"));
    let profile = parse_profile("device.toml", &text, &rules).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    let parts = |id: &divulge::model::Identifier| {
        [id.label.to_string(), id.data_type.as_str().to_owned(), id.value.to_string()]
    };
    (profile.identifiers.iter().map(parts).collect(), text)
}

#[test]
fn the_identifiers_of_a_phone_become_its_profile() {
    let phone = Phone::new("android14");
    let (found, text) = read_profile(&phone, &["--app", APP]);
    let wanted = [
        ["imei", "imei", "867530040172932"],
        ["imei", "imei", "867530040173096"],
        ["imsi", "imsi", "460001234567890"],
        ["iccid", "iccid", "89860081011512345678"],
        ["phone_number", "phone_number", "+8613900001234"],
        ["serial_number", "serial_number", "R58M123ABC"],
        ["android_id", "android_id", "b7c1e5420d9fa683"],
        ["android_id_of_phone", "android_id", "1c2d3e4f5a6b7c8d"],
        ["gaid", "gaid", "70101066-0cf5-453b-9c43-ac14b3562a48"],
        ["mac_address", "mac_address", "4a:3d:91:0c:e7:26"],
        ["ssid", "ssid", "lvtu, office"],
        ["bssid", "bssid", "4a:3d:91:a0:11:7c"],
        ["bluetooth_address", "bluetooth_address", "4A:3D:91:0C:E7:27"],
        ["device_model", "device_model", "LVX-AL10"],
        ["device_brand", "device_brand", "LVX"],
        ["device_name", "device_name", "绿途's \"phone\""],
    ];
    assert_eq!(found, wanted.map(|parts| parts.map(str::to_owned)));
    assert!(text.contains("# oaid: ") && text.contains(&format!("package = \"{APP}\"")), "{text}");
    // One that is there stays, unless it is meant to go.
    let again = phone.device(&["profile"]);
    assert_failed(&again, &["device.toml", "--force"]);
    let unread = phone.device(&["profile", "-o", "-", "--app", "com.example.none"]);
    assert_failed(&unread, &["com.example.none"]);
}

#[test]
fn old_phones_and_those_without_a_sim_are_read_as_well() {
    let phone = Phone::new("android8");
    let (found, text) = read_profile(&phone, &["--app", APP]);
    let of =
        |label: &str| found.iter().filter(|found| found[0] == label).map(|found| found[2].as_str()).collect::<Vec<_>>();
    assert_eq!(of("imei"), ["867530040172932"]);
    assert_eq!(of("imsi"), ["460001234567890"]);
    assert_eq!(of("phone_number"), ["+8613900001234"]);
    assert_eq!(of("android_id"), ["b7c1e5420d9fa683"]);
    assert_eq!(of("mac_address"), ["4a:3d:91:0c:e7:26"], "{text}");

    let phone = Phone::with("emulator15", |state| {
        state["subscriber"] = json!({});
        state["content"] = json!({ "content://com.miui.idprovider/oaid": [{ "uniform_id": "1a2b3c4d5e6f7a8b" }] });
        state["settings"]["secure"] = json!({ "android_id": "9774d56d682e549c" });
        state["properties"]["ro.serialno"] = json!("unknown");
        state["wifi"] =
            json!("SSID: <unknown ssid>, BSSID: <none>, MAC: 02:00:00:00:00:00, Supplicant state: DISCONNECTED");
    });
    fs::write(phone.file("/sys/class/net/wlan0/address"), "02:00:00:00:00:00\n").expect("a file");
    let (found, text) = read_profile(&phone, &[]);
    let labels: Vec<&str> = found.iter().map(|found| found[0].as_str()).collect();
    assert_eq!(labels, ["gaid", "oaid", "device_model", "device_brand", "device_name"], "{text}");
    for missing in
        ["imei", "imsi", "iccid", "phone_number", "serial_number", "android_id", "mac_address", "ssid", "bssid"]
    {
        assert!(text.contains(&format!("\n# {missing}: ")), "no reason for {missing} in:\n{text}");
    }
    assert!(!found.iter().any(|found| found[2] == "9774d56d682e549c"));
}

#[test]
fn connections_are_told_by_app_while_the_phone_is_watched() {
    let phone = Phone::new("android14");
    let adb = Adb::at(phone.adb().into_os_string(), PATIENCE);
    let connected = Connected::connect(&adb, None).unwrap_or_else(|error| panic!("{error}"));
    let watch = Watch { every: Duration::from_millis(50), ..Watch::default() };
    let apps = Apps::watch(&connected, watch).expect("a thread");
    let ask = |client: &str| {
        let client = client.parse().expect("an address");
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(app) = apps.app_of(client) {
                return app;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{client} is never known: {:?}", apps.trouble());
    };
    assert_eq!(ask("10.0.0.7:50000").package.as_deref(), Some(APP));
    assert_eq!(ask("10.0.0.7:50002").package.as_deref(), Some("com.example.other, com.example.too"));
    assert_eq!(apps.app_of("10.0.0.8:50000".parse().expect("an address")), None);
    // A new connection is seen, the old one is still known.
    let line = "   0: 0700000A:C353 0200000A:1F90 01 0:0 00:0 0 10102 0 9003 1\n";
    fs::write(phone.file("/proc/net/tcp"), line).expect("a file");
    assert_eq!(ask("10.0.0.7:50003").uid, Some(10102));
    assert_eq!(ask("10.0.0.7:50000").uid, Some(10101));
    phone.change(|state| state["devices"] = json!([]));
    let started = Instant::now();
    while apps.trouble().is_none() && started.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(apps.trouble().is_some_and(|said| said.contains("gone")));
    assert_eq!(ask("10.0.0.7:50000").uid, Some(10101));
}
