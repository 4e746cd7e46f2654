//! The steps of a set-up as values: each can be done, undone, and looked at, and a journal is a list of them.

use super::certificate::Certificate;
use super::error::DeviceError;
use super::phone::Phone;
use super::proxy_setting::{self, Setting};
use super::script;
use serde::{Deserialize, Serialize};
use std::io::Write as _;

/// How much longer than a look a change on the phone may take.
const PATIENCE: u32 = 4;

/// Which of the two internet protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// IPv4, iptables.
    V4,
    /// IPv6, ip6tables.
    V6,
}

/// A table of iptables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Where destinations are rewritten.
    Nat,
    /// Where packets are refused.
    Filter,
}

impl Table {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Filter => "filter",
        }
    }
}

/// One change to the phone, with all that is needed to take it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// A store with the certificate in it, mounted over the system's.
    Store {
        /// The certificate's name in it.
        file: String,
    },
    /// The same store over that of Android 14's APEX, in every namespace.
    Apex,
    /// `adb reverse`: a port of the phone leads to one of this computer.
    Reverse {
        /// The phone's.
        port: u16,
        /// This computer's.
        to: u16,
        /// Where it led before, as adb writes it.
        before: Option<String>,
    },
    /// The phone's global proxy.
    Proxy {
        /// What it becomes, `host:port`.
        to: String,
        /// What it was.
        before: Setting,
    },
    /// A chain of our own in iptables.
    Chain {
        /// Which iptables.
        family: Family,
        /// Which table of it.
        table: Table,
        /// Whether this iptables can wait for its lock.
        waits: bool,
        /// The rules in it.
        rules: Vec<String>,
    },
}

impl Step {
    /// What it does, in a few words.
    #[must_use]
    pub fn about(&self) -> String {
        match self {
            Self::Store { file } if file.is_empty() => "a certificate in the system store".to_owned(),
            Self::Store { file } => format!("certificate {file} in the system store (in memory)"),
            Self::Apex => "the same store for the conscrypt APEX, zygotes and running apps".to_owned(),
            Self::Reverse { port, to, .. } => {
                format!("port {port} of the phone leads to port {to} of this computer (adb reverse)")
            }
            Self::Proxy { to, .. } => format!("global proxy {to}"),
            Self::Chain { family, table, rules, .. } => {
                let program = if *family == Family::V4 { "iptables" } else { "ip6tables" };
                let rules = if rules.is_empty() { "the chain" } else { &rules.join("; ") };
                format!("{program}, table {}: {rules}", table.name())
            }
        }
    }

    /// Whether it is done as root.
    #[must_use]
    pub fn needs_root(&self) -> bool {
        matches!(self, Self::Store { .. } | Self::Apex | Self::Chain { .. })
    }

    /// Whether a reboot of the phone undoes it.
    #[must_use]
    pub fn ends_with_reboot(&self) -> bool {
        !matches!(self, Self::Proxy { .. })
    }

    /// Does it.
    ///
    /// # Errors
    /// It can't be done, or not all of it.
    pub fn apply(&self, phone: &Phone, certificate: Option<&Certificate>) -> Result<(), DeviceError> {
        let phone = phone.patient(PATIENCE);
        match self {
            Self::Store { file } => {
                if let Some(certificate) = certificate {
                    push(&phone, certificate)?;
                }
                as_root(&phone, &script::mount_store(file), "mounting the certificate store")
            }
            Self::Apex => as_root(&phone, &script::bind_apex(), "mounting the store of the APEX"),
            Self::Reverse { port, to, .. } => {
                let answer = phone.adb.call(&["reverse", &format!("tcp:{port}"), &format!("tcp:{to}")])?;
                answer.into_out("adb reverse").map(drop)
            }
            Self::Proxy { to, .. } => proxy_setting::set(&phone, to),
            Self::Chain { family, table, waits, rules } => {
                let what = format!("adding a chain to {}", table.name());
                as_root(&phone, &script::add_chain(*family, *table, *waits, rules), &what)
            }
        }
    }

    /// Undoes it; what is already gone counts as undone.
    ///
    /// # Errors
    /// It still stands, or there is no telling.
    pub fn revert(&self, phone: &Phone) -> Result<(), DeviceError> {
        let phone = phone.patient(PATIENCE);
        match self {
            Self::Store { .. } => as_root(&phone, &script::unmount_store(), "unmounting the certificate store"),
            Self::Apex => as_root(&phone, &script::unbind_apex(), "unmounting the store of the APEX"),
            Self::Reverse { port, to, before } => {
                let port = format!("tcp:{port}");
                match (reversed(&phone, &port)?, before) {
                    // Gone, or led elsewhere by somebody else since.
                    (now, _) if now.as_deref() != Some(&format!("tcp:{to}")) => Ok(()),
                    (_, Some(before)) => phone.adb.call(&["reverse", &port, before])?.into_out("adb reverse").map(drop),
                    (_, None) => {
                        phone.adb.call(&["reverse", "--remove", &port])?.into_out("adb reverse --remove").map(drop)
                    }
                }
            }
            Self::Proxy { to, before } => proxy_setting::put_back(&phone, to, before),
            Self::Chain { family, table, waits, .. } => {
                let what = format!("removing the chain from {}", table.name());
                as_root(&phone, &script::remove_chain(*family, *table, *waits), &what)
            }
        }
    }

    /// Whether it stands as it was done; if not, what is wrong.
    ///
    /// # Errors
    /// There is no telling.
    pub fn look(&self, phone: &Phone) -> Result<Result<(), String>, DeviceError> {
        Ok(match self {
            Self::Store { file } => match phone.root_shell(&script::store_stands(file))?.status {
                0 => Ok(()),
                3 => Err(script::UNSEEN.to_owned()),
                _ => Err("the certificate is not in the system store".to_owned()),
            },
            Self::Apex => {
                let stands = phone.root_shell(&script::apex_stands())?.succeeded();
                stands.then_some(()).ok_or_else(|| "the store of the APEX is not mounted for all zygotes".to_owned())
            }
            Self::Reverse { port, to, .. } => {
                let now = reversed(phone, &format!("tcp:{port}"))?;
                let stands = now.as_deref() == Some(&format!("tcp:{to}"));
                stands.then_some(()).ok_or_else(|| format!("port {port} of the phone leads nowhere"))
            }
            Self::Proxy { to, .. } => {
                let now = proxy_setting::read(phone)?.http_proxy;
                let stands = now.as_deref() == Some(to);
                stands.then_some(()).ok_or_else(|| format!("the global proxy is {}", now.as_deref().unwrap_or("none")))
            }
            Self::Chain { family, table, waits, rules } => {
                let what = format!("listing {}", table.name());
                let list = phone.root_shell(&script::list_chain(*family, *table, *waits))?.into_out(&what)?;
                chain_stands(&list, rules.len())
            }
        })
    }
}

/// Whether a listing (`-S`) has the chain with so many rules, and traffic sent to it once.
fn chain_stands(list: &str, rules: usize) -> Result<(), String> {
    let chain = script::CHAIN;
    let count = |start: &str| list.lines().filter(|line| line.trim_end().starts_with(start)).count();
    let found = (count(&format!("-N {chain}")), count(&format!("-A {chain} ")));
    let jumps = list.lines().filter(|line| line.trim_end() == format!("-A OUTPUT -j {chain}")).count();
    match (found, jumps) {
        ((1, have), 1) if have == rules => Ok(()),
        ((0, _), 0) => Err("the chain is gone".to_owned()),
        ((_, have), jumps) => Err(format!("the chain has {have} of {rules} rules, and {jumps} ways into it")),
    }
}

/// Where `adb reverse` leads a port of the phone.
fn reversed(phone: &Phone, port: &str) -> Result<Option<String>, DeviceError> {
    let list = phone.adb.call(&["reverse", "--list"])?.into_out("adb reverse --list")?;
    Ok(parse_reverses(&list).into_iter().find(|(from, _)| from == port).map(|(_, to)| to))
}

/// What leads where before a set-up.
pub(super) fn reversed_before(phone: &Phone, port: u16) -> Result<Option<String>, DeviceError> {
    reversed(phone, &format!("tcp:{port}"))
}

/// Reads `adb reverse --list`: the transport's name, which some leave out, the phone's port and ours.
fn parse_reverses(list: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let mut words = line.split_whitespace().rev();
        let (to, from) = (words.next()?, words.next()?);
        Some((from.to_owned(), to.to_owned()))
    };
    list.lines().filter_map(line).collect()
}

/// Runs a script as root, which has to succeed.
fn as_root(phone: &Phone, script: &str, what: &str) -> Result<(), DeviceError> {
    phone.root_shell(script)?.into_out(what).map(drop)
}

/// Puts the certificate, and nothing that stood beside it, onto the phone.
fn push(phone: &Phone, certificate: &Certificate) -> Result<(), DeviceError> {
    let failed = |error: std::io::Error| DeviceError::Unfit(format!("cannot write a temporary file: {error}"));
    let path = super::journal::folder()?.join(format!("ca-{}.pem", std::process::id()));
    let mut file = super::journal::create_private(&path, true).map_err(failed)?;
    file.write_all(certificate.pem().as_bytes()).map_err(failed)?;
    drop(file);
    let pushed = phone.adb.call(&["push", &path.to_string_lossy(), script::PUSHED]);
    // What remains is a certificate, which is no secret.
    let _ = std::fs::remove_file(&path);
    pushed?.into_out("adb push").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_keep_through_the_journal() {
        let before = Setting { http_proxy: Some("10.1.1.1:3128".to_owned()), ..Setting::default() };
        for step in [
            Step::Store { file: "0aa8cfd5.0".to_owned() },
            Step::Apex,
            Step::Reverse { port: 8080, to: 8081, before: Some("tcp:9".to_owned()) },
            Step::Proxy { to: "10.0.0.2:8080".to_owned(), before },
            Step::Chain {
                family: Family::V6,
                table: Table::Filter,
                waits: true,
                rules: vec!["-p udp --dport 443 -j REJECT".to_owned()],
            },
        ] {
            let text = serde_json::to_string(&step).expect("a step is JSON");
            assert_eq!(serde_json::from_str::<Step>(&text).expect("and back"), step, "{text}");
        }
    }

    #[test]
    fn a_chain_stands_with_all_its_rules_and_one_way_in() {
        let list = "-P OUTPUT ACCEPT\n-N DIVULGE\n-N bw_OUTPUT\n-A OUTPUT -j DIVULGE\n-A OUTPUT -j bw_OUTPUT\n\
                    -A DIVULGE -p udp -m udp --dport 443 -j REJECT --reject-with icmp-port-unreachable\n";
        assert_eq!(chain_stands(list, 1), Ok(()));
        assert!(chain_stands(list, 2).is_err_and(|said| said.contains("1 of 2")));
        assert!(chain_stands(&list.replace("-A OUTPUT -j DIVULGE\n", ""), 1).is_err());
        assert_eq!(chain_stands("-P OUTPUT ACCEPT\n", 1), Err("the chain is gone".to_owned()));
    }

    #[test]
    fn reverses_are_read_with_any_name_of_the_transport() {
        let list = "host-19 tcp:8080 tcp:4000\nUsbFfs tcp:1 tcp:2\n(reverse) tcp:3 localabstract:x\ntcp:5 tcp:6\n\n";
        let found = parse_reverses(list);
        let wanted = [("tcp:8080", "tcp:4000"), ("tcp:1", "tcp:2"), ("tcp:3", "localabstract:x"), ("tcp:5", "tcp:6")];
        assert_eq!(found, wanted.map(|(from, to)| (from.to_owned(), to.to_owned())));
    }
}
