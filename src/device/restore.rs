//! The way back: the journal's steps undone in reverse order. It works after a crash of this program, after a reboot of
//! the phone, and twice.

use super::error::DeviceError;
use super::journal::Journal;
use super::phone::Phone;
use super::proxy_setting::{self, Setting};
use super::script;
use super::step::{Family, Step, Table};

/// How a restoration went.
#[derive(Debug, Default)]
pub struct Restored {
    /// What is undone now, the last step first.
    pub undone: Vec<String>,
    /// What could not be, with the reason; the journal then stays.
    pub failed: Vec<String>,
    /// What lies on the phone that no journal tells of.
    pub leftovers: Vec<String>,
}

/// Undoes what the journal of this phone says; with `force` also what may be there without one.
///
/// # Errors
/// The journal can't be read or removed, or the phone is gone.
pub fn restore(phone: &Phone, force: bool) -> Result<Restored, DeviceError> {
    let mut restored = Restored::default();
    let journal = Journal::of(&phone.serial)?;
    let mut steps = journal.as_ref().map(|journal| journal.steps.clone()).unwrap_or_default();
    let rebooted = journal
        .as_ref()
        .is_some_and(|journal| !journal.boot.is_empty() && !phone.boot.is_empty() && journal.boot != phone.boot);
    if force {
        steps.splice(0..0, known(phone)?);
    }
    for step in steps.iter().rev() {
        // Without root there is no looking, and none is needed for what a reboot has taken.
        let gone = rebooted && step.ends_with_reboot() && phone.root.is_err();
        match if gone { Ok(()) } else { step.revert(phone) } {
            Ok(()) => restored.undone.push(step.about()),
            Err(error) => restored.failed.push(format!("{}: {error}", step.about())),
        }
    }
    if restored.failed.is_empty() {
        if let Some(journal) = journal {
            journal.close()?;
        }
        if phone.root.is_ok() {
            restored.leftovers = leftovers(phone)?;
        }
    }
    Ok(restored)
}

/// What of ours lies on the phone, journal or not.
///
/// # Errors
/// There is no root, or the phone is gone.
pub fn leftovers(phone: &Phone) -> Result<Vec<String>, DeviceError> {
    let out = phone.root_shell(&script::leftovers())?.into_out("looking for leftovers")?;
    Ok(out.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// All that a set-up may have done, in its order, as far as it can be known without its journal.
fn known(phone: &Phone) -> Result<Vec<Step>, DeviceError> {
    let mut steps = Vec::new();
    if phone.root.is_ok() {
        steps.push(Step::Store { file: String::new() });
        if phone.has("nsenter") {
            steps.push(Step::Apex);
        }
        for (program, family) in [("iptables", Family::V4), ("ip6tables", Family::V6)] {
            for table in [Table::Nat, Table::Filter] {
                // A table that this kernel does not have holds nothing of ours.
                let list = script::list_chain(family, table, false);
                if phone.has(program) && phone.root_shell(&list)?.succeeded() {
                    steps.push(Step::Chain { family, table, waits: false, rules: Vec::new() });
                }
            }
        }
    }
    let now = proxy_setting::read(phone)?.http_proxy;
    if let Some(to) = now.filter(|proxy| !proxy.is_empty()) {
        steps.push(Step::Proxy { to, before: Setting::default() });
    }
    Ok(steps)
}
