//! Ways to be root on the phone. Each su has its own grammar, so each is tried with the very form it is used with later.

use super::adb::{Adb, Answer, marked, with_exit_mark};
use super::error::DeviceError;
use super::quote::quoted;

/// A way in which commands run as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// adb is root itself.
    Adbd,
    /// `su 0 sh -c …`: the su of debug builds.
    Su0,
    /// `su -c …`: Magisk, KernelSU, SuperSU.
    SuC,
    /// `su root sh -c …`: official emulators.
    SuRoot,
}

impl Root {
    /// In the order in which they are tried.
    const ALL: [Self; 4] = [Self::Adbd, Self::Su0, Self::SuC, Self::SuRoot];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Adbd => "adb is root",
            Self::Su0 => "su 0",
            Self::SuC => "su -c",
            Self::SuRoot => "su root",
        }
    }

    /// A command line for the phone's shell that runs a script as root.
    #[must_use]
    pub fn wrap(self, script: &str) -> String {
        match self {
            Self::Adbd => script.to_owned(),
            Self::Su0 => format!("su 0 sh -c {}", quoted(script)),
            Self::SuC => format!("su -c {}", quoted(script)),
            Self::SuRoot => format!("su root sh -c {}", quoted(script)),
        }
    }

    /// Runs a script as root.
    ///
    /// # Errors
    /// The phone can't be reached, gives no answer, or su refuses.
    pub fn shell(self, adb: &Adb, script: &str) -> Result<Answer, DeviceError> {
        // Two marks: the inner one tells how the script ended, the outer one how su did.
        let answer = adb.shell(&self.wrap(&with_exit_mark(script)))?;
        match marked(&answer.out) {
            Some((out, status)) => Ok(Answer { status, out: out.to_owned(), err: answer.err }),
            None => Err(DeviceError::Refused { what: self.name().to_owned(), said: answer.said() }),
        }
    }
}

/// The first way that gives root; else what each answered.
///
/// # Errors
/// The phone can't be reached at all.
pub(super) fn find(adb: &Adb) -> Result<Result<Root, Vec<String>>, DeviceError> {
    let mut tries = Vec::new();
    for root in Root::ALL {
        let said = match root.shell(adb, "id -u") {
            Ok(answer) if answer.out.trim() == "0" => return Ok(Ok(root)),
            Ok(answer) if root == Root::Adbd => format!("adb is uid {}", answer.out.trim()),
            Ok(answer) => format!("`{}`: {}", root.name(), answer.said()),
            Err(gone @ DeviceError::Gone { .. }) => return Err(gone),
            Err(DeviceError::Refused { said, .. }) => format!("`{}`: {said}", root.name()),
            Err(DeviceError::TimedOut { seconds, .. }) => {
                format!("`{}`: no answer in {seconds} s (is the phone asking whether Shell may be root?)", root.name())
            }
            Err(other) => return Err(other),
        };
        tries.push(said);
    }
    Ok(Err(tries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_su_gets_the_script_as_one_word() {
        let script = "echo 'a b' \"$x\"";
        assert_eq!(Root::Adbd.wrap(script), script);
        assert_eq!(Root::Su0.wrap(script), r#"su 0 sh -c 'echo '\''a b'\'' "$x"'"#);
        assert_eq!(Root::SuC.wrap(script), r#"su -c 'echo '\''a b'\'' "$x"'"#);
        assert_eq!(Root::SuRoot.wrap("id"), "su root sh -c id");
    }
}
