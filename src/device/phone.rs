//! A phone that answers: what it is, how to be root on it, and which tools it has.

use super::adb::{Adb, Answer};
use super::devices::choose;
use super::error::DeviceError;
use super::root::{Root, find};
use std::collections::BTreeMap;

/// The first Android whose certificates live in an APEX (Android 14).
pub(super) const SDK_WITH_APEX_STORE: u32 = 34;
/// Tools that are looked for.
const TOOLS: &str = "iptables ip6tables nsenter tcpdump abx2xml pidof";

/// A phone over adb.
#[derive(Debug, Clone)]
pub struct Phone {
    /// The way to it.
    pub adb: Adb,
    /// Its serial number.
    pub serial: String,
    /// Its system properties.
    pub properties: BTreeMap<String, String>,
    /// How to be root on it, or what each way answered.
    pub root: Result<Root, Vec<String>>,
    /// The tools that are there.
    pub tools: Vec<String>,
    /// `Enforcing`, `Permissive` or `Disabled`; empty if it can't be told.
    pub selinux: String,
    /// Changes with each boot; empty if it can't be told.
    pub boot: String,
}

impl Phone {
    /// Looks at the phone that is meant.
    ///
    /// # Errors
    /// It can't be reached, or there is no telling which is meant.
    pub fn connect(adb: &Adb, wanted: Option<&str>) -> Result<Self, DeviceError> {
        let (adb, serial) = choose(adb, wanted)?;
        let properties = parse_properties(&adb.shell("getprop")?.out);
        let root = find(&adb)?;
        let mut phone =
            Self { adb, serial, properties, root, tools: Vec::new(), selinux: String::new(), boot: String::new() };
        let script = format!(
            "for t in {TOOLS}; do command -v $t >/dev/null 2>&1 && echo tool=$t; done\n\
             echo selinux=$(getenforce 2>/dev/null)\n\
             echo boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
        );
        let told = phone.shell_as_best(&script)?;
        for line in told.out.lines() {
            match line.split_once('=') {
                Some(("tool", tool)) => phone.tools.push(tool.to_owned()),
                Some(("selinux", mode)) => mode.trim().clone_into(&mut phone.selinux),
                Some(("boot", id)) => id.trim().clone_into(&mut phone.boot),
                _ => {}
            }
        }
        Ok(phone)
    }

    /// A system property that says something.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Its API level; 0 if it does not say.
    #[must_use]
    pub fn sdk(&self) -> u32 {
        self.property("ro.build.version.sdk").and_then(|sdk| sdk.parse().ok()).unwrap_or(0)
    }

    /// Whether it is an emulator.
    #[must_use]
    pub fn is_emulator(&self) -> bool {
        let is = |name, values: &[&str]| self.property(name).is_some_and(|value| values.contains(&value));
        is("ro.kernel.qemu", &["1"])
            || is("ro.boot.qemu", &["1"])
            || is("ro.hardware", &["goldfish", "ranchu", "cutf_cvm"])
    }

    /// Whether a tool is there.
    #[must_use]
    pub fn has(&self, tool: &str) -> bool {
        self.tools.iter().any(|known| known == tool)
    }

    /// Runs a script as the user that adb is.
    ///
    /// # Errors
    /// The phone can't be reached, or gives no answer.
    pub fn shell(&self, script: &str) -> Result<Answer, DeviceError> {
        self.adb.shell(script)
    }

    /// Runs a script as root.
    ///
    /// # Errors
    /// There is no root, the phone can't be reached, or gives no answer.
    pub fn root_shell(&self, script: &str) -> Result<Answer, DeviceError> {
        match &self.root {
            Ok(root) => root.shell(&self.adb, script),
            Err(tries) => Err(DeviceError::NoRoot { tries: tries.clone() }),
        }
    }

    /// Runs a script as root where that can be had, else as the user that adb is.
    ///
    /// # Errors
    /// The phone can't be reached, or gives no answer.
    pub fn shell_as_best(&self, script: &str) -> Result<Answer, DeviceError> {
        if self.root.is_ok() { self.root_shell(script) } else { self.shell(script) }
    }

    /// The same phone, given longer to answer.
    #[must_use]
    pub fn patient(&self, times: u32) -> Self {
        let timeout = self.adb.timeout().saturating_mul(times);
        Self { adb: self.adb.clone().with_timeout(timeout), ..self.clone() }
    }
}

/// Reads the answer to `getprop`: `[name]: [value]` a line; a value may go over several.
#[must_use]
pub fn parse_properties(text: &str) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        let (name, value) = match open.take() {
            Some((name, value)) => (name, format!("{value}\n{line}")),
            None => match line.strip_prefix('[').and_then(|line| line.split_once("]: [")) {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                None => continue,
            },
        };
        match value.strip_suffix(']') {
            Some(value) => drop(properties.insert(name, value.to_owned())),
            None => open = Some((name, value)),
        }
    }
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_with_brackets_and_line_ends_in_them() {
        let text = "[a.b]: [1]\n[empty]: []\nnoise\n[list]: [x]y]\n[two]: [one\ntwo]\n[last]: [z]\n[cut]: [of";
        let found = parse_properties(text);
        let wanted = [("a.b", "1"), ("empty", ""), ("last", "z"), ("list", "x]y"), ("two", "one\ntwo")];
        assert_eq!(found, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}
