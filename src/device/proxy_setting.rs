//! The phone's global proxy. One setting is written, and Android copies it into others as it takes it up; deleting that
//! one alone leaves the proxy in force, even over a reboot. So it is emptied first, and deleted once that was taken up.

use super::error::DeviceError;
use super::phone::Phone;
use super::quote::quoted;
use serde::{Deserialize, Serialize};

/// The settings as they were; none is one that was not set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// `host:port`, the one that people write.
    pub http_proxy: Option<String>,
    /// The copies that Android keeps.
    pub host: Option<String>,
    /// See `host`.
    pub port: Option<String>,
    /// Hosts that are reached without the proxy.
    pub exclusions: Option<String>,
    /// A script that chooses a proxy.
    pub pac: Option<String>,
}

/// In the order of the fields.
const NAMES: [&str; 5] = [
    "http_proxy",
    "global_http_proxy_host",
    "global_http_proxy_port",
    "global_http_proxy_exclusion_list",
    "global_proxy_pac_url",
];

/// Reads all of them.
pub(super) fn read(phone: &Phone) -> Result<Setting, DeviceError> {
    let script: Vec<String> = NAMES.iter().map(|name| format!("settings get global {name}")).collect();
    let out = run(phone, &script.join(" && "), "reading the global proxy")?;
    let mut values = out.split('\n').map(|line| Some(line.trim().to_owned()).filter(|value| value != "null"));
    let mut next = || values.next().flatten();
    Ok(Setting { http_proxy: next(), host: next(), port: next(), exclusions: next(), pac: next() })
}

/// Sets the proxy.
pub(super) fn set(phone: &Phone, to: &str) -> Result<(), DeviceError> {
    let script = format!("settings put global http_proxy {}", quoted(to));
    run(phone, &script, "setting the global proxy").map(drop)
}

/// Runs a script as the user that adb is, and where that is not let (MIUI asks for a SIM first) as root.
fn run(phone: &Phone, script: &str, what: &str) -> Result<String, DeviceError> {
    match phone.shell(script)?.into_out(what) {
        Err(_) if phone.root.is_ok() => phone.root_shell(script)?.into_out(what),
        told => told,
    }
}

/// Puts back what was before, if the proxy is still ours.
pub(super) fn put_back(phone: &Phone, ours: &str, before: &Setting) -> Result<(), DeviceError> {
    let now = read(phone)?;
    // `:0` is what an undoing that was cut short leaves.
    let is_ours = [Some(ours), Some(":0")].contains(&now.http_proxy.as_deref());
    // A deleted proxy may still be in force through its copies.
    let lives_on = now.http_proxy.is_none() && now.host.as_deref().is_some_and(|host| is_host_of(host, ours));
    if now == *before || !(is_ours || lives_on) {
        return Ok(());
    }
    run(phone, &put_back_script(before), "putting the global proxy back").map(drop)
}

fn is_host_of(host: &str, proxy: &str) -> bool {
    proxy.rsplit_once(':').is_some_and(|(ours, _)| ours == host)
}

fn put_back_script(before: &Setting) -> String {
    let old = before.http_proxy.clone().filter(|proxy| !proxy.is_empty() && proxy != ":0");
    let kept = before.host.as_deref().filter(|host| !host.is_empty()).map(|host| {
        // A proxy that was set without the setting people write: it has to be taken up again.
        format!("{host}:{}", before.port.as_deref().unwrap_or("8080"))
    });
    let taken_up = old.or(kept).unwrap_or_else(|| ":0".to_owned());
    let host = taken_up.rsplit_once(':').map_or("", |(host, _)| host);
    let mut script = format!(
        "settings put global http_proxy {} || exit 1\n\
         n=0; while [ $n -lt 20 ]; do\n\
         h=$(settings get global global_http_proxy_host); [ \"$h\" != null ] || h=\n\
         [ \"$h\" != {} ] || break\n\
         sleep 0.2; n=$((n+1)); done\n\
         [ $n -lt 20 ] || exit 0\n",
        quoted(&taken_up),
        quoted(host),
    );
    let values = [&before.http_proxy, &before.host, &before.port, &before.exclusions, &before.pac];
    for (name, value) in NAMES.iter().zip(values) {
        let line = match value.as_deref() {
            Some(value) if *name == "http_proxy" && value == taken_up => continue,
            // Emptied is how they are left anyway, and old builds of `settings` take no empty word.
            Some("") => continue,
            Some(value) => format!("settings put global {name} {} || exit 1\n", quoted(value)),
            // Exit status and words differ where there is nothing to delete.
            None => format!("settings delete global {name} >/dev/null 2>&1\n"),
        };
        script.push_str(&line);
    }
    script + "true"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn where_there_was_none_it_is_emptied_before_it_is_deleted() {
        let script = put_back_script(&Setting::default());
        let emptied = script.find("put global http_proxy :0").expect("it is emptied");
        let deleted = script.find("delete global http_proxy").expect("it is deleted");
        assert!(emptied < deleted, "{script}");
    }

    #[test]
    fn one_that_was_there_comes_back() {
        let before = Setting {
            http_proxy: some("10.1.1.1:3128"),
            host: some("10.1.1.1"),
            port: some("3128"),
            exclusions: some("*.example.com"),
            pac: None,
        };
        let script = put_back_script(&before);
        assert!(script.contains("put global http_proxy 10.1.1.1:3128"), "{script}");
        assert!(!script.contains("delete global http_proxy "), "{script}");
        assert!(script.contains("exclusion_list '*.example.com'"), "{script}");
    }

    #[test]
    fn one_that_only_android_knew_is_taken_up_again() {
        let before = Setting { host: some("10.1.1.1"), port: some("3128"), ..Setting::default() };
        let script = put_back_script(&before);
        assert!(script.contains("put global http_proxy 10.1.1.1:3128"), "{script}");
        assert!(script.contains("delete global http_proxy"), "{script}");
    }
}
