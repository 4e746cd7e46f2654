//! The set-up: what is wanted → a list of steps, each written into the journal before it is done and looked at after it.
//! Where one fails, those before it are undone.

use super::certificate::Certificate;
use super::error::DeviceError;
use super::journal::Journal;
use super::packages::Packages;
use super::phone::{Phone, SDK_WITH_APEX_STORE};
use super::proxy_setting;
use super::restore::leftovers;
use super::script;
use super::step::{Family, Step, Table, reversed_before};
use std::net::IpAddr;

/// Where the proxy listens, as the phone or this computer reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Endpoint {
    /// Reads `host:port`, `[v6]:port`.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no HOST:PORT");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let fits = match bare {
            Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(is_name),
        };
        if fits { Ok(Self { host: bare.unwrap_or(host).to_owned(), port }) } else { Err(wrong()) }
    }

    /// Its address, if it is not a name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether it is whoever says it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost") || self.address().is_some_and(|address| address.is_loopback())
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.address() {
            Some(IpAddr::V6(host)) => write!(f, "[{host}]:{}", self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// What is wanted of a set-up.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Where the proxy listens.
    pub proxy: Endpoint,
    /// The apps it is for; none means all of the phone.
    pub apps: Vec<String>,
    /// The certificate to trust.
    pub certificate: Option<Certificate>,
    /// Whether adb carries the traffic to this computer.
    pub reverse: bool,
    /// Whether the apps' connections are redirected, instead of told of a proxy.
    pub redirect: bool,
    /// Whether QUIC may pass.
    pub keep_quic: bool,
}

/// The steps that fulfil a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they are done.
    pub steps: Vec<Step>,
    /// What is not done, and what follows from that.
    pub warnings: Vec<String>,
}

/// Finds the steps that fulfil a wish on this phone. Nothing is changed.
///
/// # Errors
/// The wish can't be fulfilled on it, or makes no sense.
pub fn plan(phone: &Phone, wish: &Wish) -> Result<Plan, DeviceError> {
    check(wish)?;
    let needs_root = wish.certificate.is_some() || wish.redirect || !wish.keep_quic;
    if needs_root && let Err(tries) = &phone.root {
        return Err(DeviceError::NoRoot { tries: tries.clone() });
    }
    let mut warnings = Vec::new();
    let uids = uids(phone, &wish.apps)?;
    let mut steps = Vec::new();
    match &wish.certificate {
        Some(certificate) => steps.extend(store(phone, certificate)?),
        None => {
            warnings.push("no --ca: the phone trusts the proxy only if its certificate is there already".to_owned())
        }
    }
    if wish.reverse {
        let port = wish.proxy.port;
        steps.push(Step::Reverse { port, to: port, before: reversed_before(phone, port)? });
    }
    let filters = if wish.redirect || !wish.keep_quic { Some(Filters::of(phone)?) } else { None };
    if wish.redirect {
        steps.extend(redirect(wish, &uids, filters.as_ref().is_some_and(|filters| filters.waits)));
    } else {
        let before = proxy_setting::read(phone)?;
        if before.pac.as_deref().is_some_and(|pac| !pac.is_empty()) {
            let message = "the phone's proxy is chosen by a script (PAC), which could not be put back; remove it first";
            return Err(DeviceError::Unfit(message.to_owned()));
        }
        let to = if wish.reverse { format!("127.0.0.1:{}", wish.proxy.port) } else { wish.proxy.to_string() };
        steps.push(Step::Proxy { to, before });
        warnings
            .push("the global proxy outlives a reboot of the phone; `divulge device restore` takes it back".to_owned());
    }
    if let Some(filters) = filters {
        steps.extend(filters.steps(wish, &uids, &mut warnings));
    }
    Ok(Plan { steps, warnings })
}

/// Whether the wish makes sense on any phone.
fn check(wish: &Wish) -> Result<(), DeviceError> {
    let unfit = |message: &str| Err(DeviceError::Unfit(message.to_owned()));
    if wish.reverse && !wish.proxy.is_loopback() {
        return unfit("--reverse leads to this computer's own 127.0.0.1: give --proxy 127.0.0.1:PORT with it");
    }
    if !wish.reverse && wish.proxy.is_loopback() {
        return unfit(
            "127.0.0.1 would be the phone itself: add --reverse, or give the address that this computer has in the \
             phone's network (10.0.2.2 on the emulator)",
        );
    }
    if wish.redirect && wish.apps.is_empty() {
        return unfit("--redirect needs --app: redirecting all apps would take adb and the system's checks with it");
    }
    if wish.redirect && !wish.reverse && wish.proxy.address().is_none() {
        return unfit("--redirect needs an address, not a name: iptables looks none up");
    }
    Ok(())
}

/// Uids of the apps, all of which must be there.
fn uids(phone: &Phone, apps: &[String]) -> Result<Vec<u32>, DeviceError> {
    if apps.is_empty() {
        return Ok(Vec::new());
    }
    let packages = Packages::ask(phone)?;
    let mut uids = Vec::new();
    for app in apps {
        let found = packages.uids_of(app);
        if found.is_empty() {
            return Err(DeviceError::Unfit(format!(
                "no app {app} on the phone; `adb shell pm list packages` lists them"
            )));
        }
        uids.extend(found);
    }
    uids.sort_unstable();
    uids.dedup();
    Ok(uids)
}

fn store(phone: &Phone, certificate: &Certificate) -> Result<Vec<Step>, DeviceError> {
    let mut steps = vec![Step::Store { file: certificate.file().to_owned() }];
    if phone.root_shell(&script::has_apex())?.succeeded() {
        if !phone.has("nsenter") {
            let message = "the phone has no nsenter, without which apps of Android 14 see no new certificate";
            return Err(DeviceError::Unfit(message.to_owned()));
        }
        steps.push(Step::Apex);
    } else if phone.sdk() >= SDK_WITH_APEX_STORE {
        let message = "the phone has no store of certificates in the conscrypt APEX, as Android 14 should";
        return Err(DeviceError::Unfit(message.to_owned()));
    }
    Ok(steps)
}

/// The chain that sends the apps' connections to the proxy.
fn redirect(wish: &Wish, uids: &[u32], waits: bool) -> Option<Step> {
    // With adb reverse the proxy is a port of the phone itself, where adb listens on IPv4 only.
    let (family, own, target) = match wish.proxy.address().filter(|_| !wish.reverse) {
        Some(IpAddr::V6(_)) => (Family::V6, "::1/128", format!("DNAT --to-destination {}", wish.proxy)),
        Some(IpAddr::V4(_)) => (Family::V4, "127.0.0.0/8", format!("DNAT --to-destination {}", wish.proxy)),
        None => (Family::V4, "127.0.0.0/8", format!("REDIRECT --to-ports {}", wish.proxy.port)),
    };
    // What apps say to each other on the phone is not for the proxy.
    let mut rules = vec![format!("-d {own} -j RETURN")];
    rules.extend(uids.iter().map(|uid| format!("-m owner --uid-owner {uid} -p tcp -j {target}")));
    (!uids.is_empty()).then_some(Step::Chain { family, table: Table::Nat, waits, rules })
}

/// What this phone can refuse packets with.
struct Filters {
    waits: bool,
    v6: bool,
}

impl Filters {
    fn of(phone: &Phone) -> Result<Self, DeviceError> {
        if !phone.has("iptables") {
            let message = "the phone has no iptables: neither --redirect nor blocking QUIC can be done (--keep-quic)";
            return Err(DeviceError::Unfit(message.to_owned()));
        }
        let waits = phone.root_shell(script::CAN_WAIT)?.succeeded();
        let v6 = phone.has("ip6tables")
            && phone.root_shell(&script::list_chain(Family::V6, Table::Filter, waits))?.succeeded();
        Ok(Self { waits, v6 })
    }

    /// Chains that refuse QUIC, and with a redirection the connections of the protocol that is not redirected: apps then
    /// take the other way.
    fn steps(&self, wish: &Wish, uids: &[u32], warnings: &mut Vec<String>) -> Vec<Step> {
        let redirects_v6 = !wish.reverse && matches!(wish.proxy.address(), Some(IpAddr::V6(_)));
        let mut steps = Vec::new();
        for family in [Family::V4, Family::V6] {
            if family == Family::V6 && !self.v6 {
                warnings.push(
                    "no ip6tables: over IPv6 apps may pass the proxy by; switch IPv6 off in the network".to_owned(),
                );
                continue;
            }
            let mut rules = Vec::new();
            let owners: Vec<String> = match uids {
                [] => vec![String::new()],
                uids => uids.iter().map(|uid| format!("-m owner --uid-owner {uid} ")).collect(),
            };
            if wish.redirect && (family == Family::V6) != redirects_v6 {
                rules.push("-o lo -j RETURN".to_owned());
                rules.extend(owners.iter().map(|owner| format!("{owner}-p tcp -j REJECT --reject-with tcp-reset")));
            }
            if !wish.keep_quic {
                rules.extend(owners.iter().map(|owner| format!("{owner}-p udp --dport 443 -j REJECT")));
            }
            if !rules.is_empty() {
                steps.push(Step::Chain { family, table: Table::Filter, waits: self.waits, rules });
            }
        }
        steps
    }
}

/// Carries a plan out. `said` is told of each step as it is done.
///
/// # Errors
/// A step failed: what was done before it is undone, or, where that failed too, stays in the journal.
pub fn set_up(
    phone: &Phone,
    plan: &Plan,
    certificate: Option<&Certificate>,
    mut said: impl FnMut(&str),
) -> Result<(), DeviceError> {
    let mut journal = Journal::begin(&phone.serial, &phone.boot)?;
    let begun = untouched(phone).and_then(|()| {
        plan.steps.iter().try_for_each(|step| {
            journal.note(step)?;
            step.apply(phone, certificate)?;
            step.look(phone)?.map_err(|said| DeviceError::Refused { what: step.about(), said })?;
            said(&step.about());
            Ok(())
        })
    });
    let Err(failure) = begun else { return Ok(()) };
    // One that can't be undone keeps none of the others.
    let steps = journal.steps.clone();
    let mut kept: Vec<String> =
        steps.iter().rev().filter_map(|step| step.revert(phone).err()).map(|error| error.to_string()).collect();
    if kept.is_empty() {
        kept.extend(journal.close().err().map(|error| error.to_string()));
    }
    kept.dedup();
    Err(match (kept.is_empty(), steps.is_empty()) {
        (true, true) => failure,
        (true, false) => DeviceError::Unfit(format!("{failure}; what was done before is undone")),
        (false, _) => DeviceError::Unfit(format!(
            "{failure}; undoing failed too: {}; `divulge device restore` takes it up again once the phone is back",
            kept.join("; ")
        )),
    })
}

/// That nothing of an earlier run lies on the phone, which would be mixed up with ours.
fn untouched(phone: &Phone) -> Result<(), DeviceError> {
    let found = if phone.root.is_ok() { leftovers(phone)? } else { Vec::new() };
    if found.is_empty() {
        return Ok(());
    }
    Err(DeviceError::Unfit(format!(
        "an earlier set-up is on the phone and has no journal here: {}; `divulge device restore --force` clears it",
        found.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_written() {
        for (text, host) in [("10.0.0.2:8080", "10.0.0.2"), ("[::1]:8080", "::1"), ("my-host.lan:8080", "my-host.lan")]
        {
            let endpoint = Endpoint::parse(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((endpoint.host.as_str(), endpoint.port, endpoint.to_string().as_str()), (host, 8080, text));
        }
        for text in ["", "8080", "a:0", "a:65536", ":8080", "::1:8080", "a b:1", "a;reboot:1", "[x]:1", "http://a:1"] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    fn wish(proxy: &str) -> Wish {
        Wish {
            proxy: Endpoint::parse(proxy).unwrap_or_else(|error| panic!("{error}")),
            apps: Vec::new(),
            certificate: None,
            reverse: false,
            redirect: false,
            keep_quic: false,
        }
    }

    #[test]
    fn wishes_that_make_no_sense_are_refused() {
        let app = vec!["com.example.app".to_owned()];
        for (wrong, word) in [
            (wish("127.0.0.1:8080"), "--reverse"),
            (Wish { reverse: true, ..wish("10.0.0.2:8080") }, "127.0.0.1"),
            (Wish { redirect: true, ..wish("10.0.0.2:8080") }, "--app"),
            (Wish { redirect: true, apps: app.clone(), ..wish("my-host:8080") }, "address"),
        ] {
            let said = check(&wrong).expect_err("it makes no sense").to_string();
            assert!(said.contains(word), "{said}");
        }
        assert!(check(&Wish { redirect: true, reverse: true, apps: app, ..wish("localhost:8080") }).is_ok());
    }

    #[test]
    fn a_redirection_leaves_the_phone_itself_alone_and_shuts_the_other_protocol() {
        let app = Wish { redirect: true, apps: vec![String::new()], ..wish("10.0.0.2:8080") };
        let Some(Step::Chain { family, table, rules, .. }) = redirect(&app, &[10101], true) else { panic!("no chain") };
        assert_eq!((family, table), (Family::V4, Table::Nat));
        assert_eq!(
            rules,
            ["-d 127.0.0.0/8 -j RETURN", "-m owner --uid-owner 10101 -p tcp -j DNAT --to-destination 10.0.0.2:8080"]
        );
        let steps = Filters { waits: true, v6: true }.steps(&app, &[10101], &mut Vec::new());
        let [Step::Chain { rules: v4, .. }, Step::Chain { rules: v6, .. }] = steps.as_slice() else {
            panic!("{steps:?}")
        };
        assert_eq!(v4, &["-m owner --uid-owner 10101 -p udp --dport 443 -j REJECT"]);
        assert_eq!(v6.len(), 3, "{v6:?}");
        let mut warnings = Vec::new();
        assert_eq!(Filters { waits: true, v6: false }.steps(&app, &[10101], &mut warnings).len(), 1);
        assert_eq!(warnings.len(), 1);
    }
}
