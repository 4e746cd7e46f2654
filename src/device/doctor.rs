//! What is ready for a run and what is not, in the order in which it is needed, each with what to do about it.

use super::adb::Adb;
use super::certificate::Certificate;
use super::error::DeviceError;
use super::journal::Journal;
use super::packages::Packages;
use super::phone::{Phone, SDK_WITH_APEX_STORE};
use super::proxy_setting;
use super::restore::leftovers;
use super::script;
use super::setup::Endpoint;
use super::step::{Family, Step, Table};

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// As it has to be.
    Ready,
    /// A run would miss traffic, or not work at all.
    Missing,
    /// Good to know; a run works without it.
    Note,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What it is.
    pub name: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub fix: Option<String>,
}

/// What is to be ready.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Where the proxy listens.
    pub proxy: Option<Endpoint>,
    /// The apps under test.
    pub apps: Vec<String>,
    /// The certificate that has to be trusted.
    pub certificate: Option<Certificate>,
}

/// All that was looked at.
#[derive(Debug)]
pub struct Examination {
    /// In the order in which it is needed.
    pub checks: Vec<Check>,
    /// Why it could not go on.
    pub ended: Option<DeviceError>,
}

impl Examination {
    /// Whether all that is needed is there.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ended.is_none() && self.checks.iter().all(|check| check.standing != Standing::Missing)
    }

    fn ready(&mut self, name: &'static str, found: impl Into<String>) {
        self.checks.push(Check { name, standing: Standing::Ready, found: found.into(), fix: None });
    }

    fn missing(&mut self, name: &'static str, found: impl Into<String>, fix: impl Into<String>) {
        self.checks.push(Check { name, standing: Standing::Missing, found: found.into(), fix: Some(fix.into()) });
    }

    fn note(&mut self, name: &'static str, found: impl Into<String>, fix: Option<&str>) {
        let fix = fix.map(str::to_owned);
        self.checks.push(Check { name, standing: Standing::Note, found: found.into(), fix });
    }
}

/// Looks at all of it. Nothing is changed.
#[must_use]
pub fn examine(adb: &Adb, wanted: Option<&str>, question: &Question) -> Examination {
    let mut seen = Examination { checks: Vec::new(), ended: None };
    if let Err(error) = look(&mut seen, adb, wanted, question) {
        seen.ended = Some(error);
    }
    seen
}

fn look(seen: &mut Examination, adb: &Adb, wanted: Option<&str>, question: &Question) -> Result<(), DeviceError> {
    let version = adb.call(&["version"])?.into_out("adb version")?;
    let version = version.lines().next().unwrap_or_default().trim().to_owned();
    seen.ready("adb", format!("{version} ({})", adb.program()));
    let phone = Phone::connect(adb, wanted)?;
    let property = |name| phone.property(name).unwrap_or("?").to_owned();
    let brand = property("ro.product.brand");
    seen.ready("phone", format!("{} ({brand} {})", phone.serial, property("ro.product.model")));
    let kind = if phone.is_emulator() { "emulator" } else { "hardware" };
    let release = property("ro.build.version.release");
    seen.ready("Android", format!("{release}, SDK {}, {}, {kind}", phone.sdk(), property("ro.product.cpu.abi")));
    root_and_tools(seen, &phone);
    let uids = apps(seen, &phone, question)?;
    let journal = Journal::of(&phone.serial)?;
    certificate(seen, &phone, question, journal.as_ref())?;
    let rules = Rules::of(&phone)?;
    let port = route(seen, &phone, question, &rules, &uids)?;
    quic(seen, &phone, &rules, &uids);
    reverse(seen, &phone, port)?;
    earlier(seen, &phone, journal.as_ref())
}

fn root_and_tools(seen: &mut Examination, phone: &Phone) {
    match &phone.root {
        Ok(root) => seen.ready("root", root.name()),
        Err(tries) => {
            let fix = "root the phone (Magisk: allow Shell under Superuser), use an emulator image without Google \
                       Play, or run `adb root` on a debug build";
            seen.missing("root", tries.join("; "), fix);
        }
    }
    let mode = if phone.selinux.is_empty() { "unknown" } else { phone.selinux.as_str() };
    seen.note("SELinux", mode, None);
    if phone.has("iptables") {
        seen.ready("iptables", "there");
    } else {
        seen.missing("iptables", "not there", "QUIC can't be blocked on this phone: block UDP port 443 in its network");
    }
    if phone.has("ip6tables") {
        seen.ready("ip6tables", "there");
    } else {
        seen.note("ip6tables", "not there", Some("switch IPv6 off in the phone's network"));
    }
    match (phone.has("nsenter"), phone.sdk() >= SDK_WITH_APEX_STORE) {
        (true, _) => seen.ready("nsenter", "there"),
        (false, true) => {
            let fix = "Android 14 and later need it for the certificate: install a toybox that has it";
            seen.missing("nsenter", "not there", fix);
        }
        (false, false) => seen.note("nsenter", "not there, and not needed before Android 14", None),
    }
    if phone.has("tcpdump") {
        seen.ready("tcpdump", "there");
    } else {
        seen.note("tcpdump", "not there", Some("only needed to capture on the phone instead of through the proxy"));
    }
}

fn apps(seen: &mut Examination, phone: &Phone, question: &Question) -> Result<Vec<u32>, DeviceError> {
    let mut uids = Vec::new();
    if question.apps.is_empty() {
        return Ok(uids);
    }
    let packages = Packages::ask(phone)?;
    for app in &question.apps {
        let of_app = packages.uids_of(app);
        if of_app.is_empty() {
            seen.missing("app", format!("{app} is not installed"), format!("install it: adb install {app}.apk"));
        } else {
            let list: Vec<String> = of_app.iter().map(ToString::to_string).collect();
            seen.ready("app", format!("{app}, uid {}", list.join(", ")));
        }
        uids.extend(of_app);
    }
    Ok(uids)
}

fn certificate(
    seen: &mut Examination,
    phone: &Phone,
    question: &Question,
    journal: Option<&Journal>,
) -> Result<(), DeviceError> {
    let noted = journal.and_then(|journal| {
        journal.steps.iter().find_map(|step| if let Step::Store { file } = step { Some(file.clone()) } else { None })
    });
    let file = question.certificate.as_ref().map(|certificate| certificate.file().to_owned()).or(noted);
    let fix = "divulge device setup --proxy HOST:PORT --ca FILE.pem";
    let Some(file) = file else {
        seen.missing("certificate", "none set up by this computer, and no --ca to look for", fix);
        return Ok(());
    };
    let out = phone.shell_as_best(&script::stores_with(&file))?.out;
    let stores: Vec<&str> = out.split_whitespace().collect();
    let wanted = if phone.sdk() >= SDK_WITH_APEX_STORE { "apex" } else { "system" };
    // Of ours it can be told whether the apps see it, too.
    let ours = Step::Store { file: file.clone() };
    let stands = match (&phone.root, stores.contains(&"system")) {
        (Ok(_), true) if journal.is_some_and(|journal| journal.steps.contains(&ours)) => ours.look(phone)?,
        _ => Ok(()),
    };
    match stands {
        Err(said) => seen.missing("certificate", said, fix),
        Ok(()) if stores.contains(&wanted) => {
            seen.ready("certificate", format!("{file} in the store: {}", stores.join(", ")));
        }
        Ok(()) if stores.is_empty() => seen.missing("certificate", format!("{file} is in no store"), fix),
        Ok(()) => {
            let found = format!("{file} only in the store: {}; most apps do not trust that", stores.join(", "));
            seen.missing("certificate", found, fix);
        }
    }
    Ok(())
}

/// The rules of the tables that can be read.
#[derive(Default)]
struct Rules {
    nat: [String; 2],
    filter: [String; 2],
}

impl Rules {
    fn of(phone: &Phone) -> Result<Self, DeviceError> {
        let mut rules = Self::default();
        if phone.root.is_err() {
            return Ok(rules);
        }
        for (at, family, program) in [(0, Family::V4, "iptables"), (1, Family::V6, "ip6tables")] {
            if !phone.has(program) {
                continue;
            }
            for (table, place) in [(Table::Nat, &mut rules.nat[at]), (Table::Filter, &mut rules.filter[at])] {
                let answer = phone.root_shell(&script::list_chain(family, table, false))?;
                if answer.succeeded() {
                    *place = answer.out;
                }
            }
        }
        Ok(rules)
    }
}

/// Rules of our chain that hold all of the words, if traffic is sent there at all.
fn ours<'l>(list: &'l str, words: &'l [&str]) -> impl Iterator<Item = &'l str> {
    let jump = format!("-A OUTPUT -j {}", script::CHAIN);
    let used = list.lines().any(|line| line.trim_end() == jump);
    let start = format!("-A {} ", script::CHAIN);
    list.lines().filter(move |line| used && line.starts_with(&start) && words.iter().all(|word| line.contains(word)))
}

/// Whether a rule is for this uid, or for all.
fn is_for(rule: &str, uid: u32) -> bool {
    match rule.split_once("--uid-owner ") {
        Some((_, rest)) => rest.split_whitespace().next() == Some(&uid.to_string()),
        None => true,
    }
}

/// How traffic comes to the proxy; gives the phone's port that has to lead to this computer, if it is one.
fn route(
    seen: &mut Examination,
    phone: &Phone,
    question: &Question,
    rules: &Rules,
    uids: &[u32],
) -> Result<Option<u16>, DeviceError> {
    const NAME: &str = "route";
    let fix = "divulge device setup --proxy HOST:PORT (the address of this computer in the phone's network)";
    let targets: Vec<(&str, String)> = rules.nat.iter().flat_map(|list| ours(list, &[])).filter_map(target).collect();
    if let Some((_, to)) = targets.first() {
        let missed: Vec<String> = uids
            .iter()
            .filter(|uid| !targets.iter().any(|(rule, _)| is_for(rule, **uid)))
            .map(ToString::to_string)
            .collect();
        let port = to.parse::<u16>().ok();
        let shown = if port.is_some() { format!("127.0.0.1:{to}") } else { to.clone() };
        if missed.is_empty() && question.proxy.as_ref().is_none_or(|proxy| leads_to(&shown, proxy)) {
            seen.ready(NAME, format!("connections are redirected to {shown}"));
        } else if missed.is_empty() {
            seen.missing(NAME, format!("connections are redirected to {shown}"), fix);
        } else {
            seen.missing(NAME, format!("connections of uid {} are not redirected", missed.join(", ")), fix);
        }
        return Ok(port);
    }
    let now = proxy_setting::read(phone)?.http_proxy.filter(|proxy| !proxy.is_empty() && proxy != ":0");
    match (&now, &question.proxy) {
        (None, _) => seen.missing(NAME, "no global proxy, no redirection", fix),
        (Some(now), Some(proxy)) if !leads_to(now, proxy) => {
            seen.missing(NAME, format!("global proxy {now}, not {proxy}"), fix);
        }
        (Some(now), _) => seen.ready(NAME, format!("global proxy {now}")),
    }
    let here = now.as_deref().and_then(|now| Endpoint::parse(now).ok()).filter(Endpoint::is_loopback);
    Ok(here.map(|endpoint| endpoint.port))
}

/// A rule, and where it sends connections: an address, or a port of the phone.
fn target(rule: &str) -> Option<(&str, String)> {
    let (_, to) = rule.split_once("--to-destination ").or_else(|| rule.split_once("--to-ports "))?;
    Some((rule, to.split_whitespace().next()?.to_owned()))
}

/// Whether what is set is what is meant; each name of the phone itself is as good as the others.
fn leads_to(set: &str, proxy: &Endpoint) -> bool {
    let both_local = |set: Endpoint| set.is_loopback() && proxy.is_loopback() && set.port == proxy.port;
    set == proxy.to_string() || Endpoint::parse(set).is_ok_and(both_local)
}

fn quic(seen: &mut Examination, phone: &Phone, rules: &Rules, uids: &[u32]) {
    if phone.root.is_err() {
        seen.missing(
            "QUIC",
            "there is no telling without root",
            "without root, block UDP port 443 in the phone's network",
        );
        return;
    }
    let blocked = |list: &str| {
        let found: Vec<&str> = ours(list, &["-p udp", "--dport 443", "-j REJECT"]).collect();
        match uids {
            [] => found.iter().any(|rule| !rule.contains("--uid-owner")),
            uids => uids.iter().all(|uid| found.iter().any(|rule| is_for(rule, *uid))),
        }
    };
    let fix = "divulge device setup blocks UDP port 443 (with --app only for that app: then give doctor the same)";
    let [v4, v6] = &rules.filter;
    match (blocked(v4), blocked(v6) || v6.is_empty()) {
        (true, true) => seen.ready("QUIC", "UDP port 443 is refused"),
        (true, false) => seen.missing("QUIC", "UDP port 443 is refused over IPv4 only", fix),
        _ => seen.missing("QUIC", "UDP port 443 is not refused: apps may speak HTTP/3 past the proxy", fix),
    }
}

fn reverse(seen: &mut Examination, phone: &Phone, port: Option<u16>) -> Result<(), DeviceError> {
    let Some(port) = port else {
        seen.note("adb reverse", "not needed", None);
        return Ok(());
    };
    let list = phone.adb.call(&["reverse", "--list"])?.into_out("adb reverse --list")?;
    let from = format!("tcp:{port}");
    match list.lines().find(|line| line.split_whitespace().rev().nth(1) == Some(&from)) {
        Some(line) => seen.ready("adb reverse", line.trim()),
        None => {
            let found = format!("port {port} of the phone leads nowhere: the cable was out, or adb began anew");
            seen.missing("adb reverse", found, format!("adb -s {} reverse tcp:{port} tcp:{port}", phone.serial));
        }
    }
    Ok(())
}

fn earlier(seen: &mut Examination, phone: &Phone, journal: Option<&Journal>) -> Result<(), DeviceError> {
    const NAME: &str = "earlier run";
    let restore = "divulge device restore";
    match journal {
        None if phone.root.is_ok() => {
            let found = leftovers(phone)?;
            if found.is_empty() {
                seen.ready(NAME, "nothing left of one");
            } else {
                seen.missing(NAME, found.join(", "), format!("{restore} --force"));
            }
        }
        None => seen.note(NAME, "no journal here", None),
        Some(journal) => {
            let mut gone = Vec::new();
            for step in &journal.steps {
                if phone.root.is_err() && step.needs_root() {
                    continue;
                }
                if let Err(said) = step.look(phone).unwrap_or_else(|error| Err(error.to_string())) {
                    gone.push(format!("{}: {said}", step.about()));
                }
            }
            if gone.is_empty() {
                seen.ready(NAME, format!("set up as in {}", journal.path().display()));
            } else {
                let found = format!("{}; {}", gone.join("; "), journal.path().display());
                seen.missing(NAME, found, format!("{restore}, then set up again"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_count_only_where_traffic_comes_to_them() {
        let list = "-N DIVULGE\n-A OUTPUT -j DIVULGE\n-A DIVULGE -m owner --uid-owner 10101 -p udp -m udp --dport 443 \
                    -j REJECT --reject-with icmp-port-unreachable\n-A other -p udp --dport 443 -j REJECT\n";
        let words = ["-p udp", "--dport 443", "-j REJECT"];
        assert_eq!(ours(list, &words).count(), 1);
        assert_eq!(ours(&list.replace("-A OUTPUT -j DIVULGE\n", ""), &words).count(), 0);
        let rule = ours(list, &words).next().expect("one");
        assert!(is_for(rule, 10101) && !is_for(rule, 1010) && is_for("-A DIVULGE -j REJECT", 5));
    }

    #[test]
    fn the_phone_itself_has_several_names() {
        let proxy = |text| Endpoint::parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert!(leads_to("127.0.0.1:8080", &proxy("localhost:8080")));
        assert!(leads_to("10.0.0.2:8080", &proxy("10.0.0.2:8080")));
        assert!(!leads_to("10.0.0.2:8080", &proxy("10.0.0.2:8081")));
        assert!(!leads_to("127.0.0.1:8080", &proxy("10.0.0.2:8080")));
    }
}
