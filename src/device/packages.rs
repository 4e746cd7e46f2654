//! Which package has which uid: `pm list packages -U`, a user at a time.

use super::adb::Adb;
use super::error::DeviceError;
use super::phone::Phone;
use super::root::Root;
use std::collections::BTreeMap;

/// Uids of one user, and so the distance between those of two.
pub const USER_RANGE: u32 = 100_000;
/// Most packages and users that are kept.
const PACKAGES_MAX: usize = 20_000;
const USERS_MAX: usize = 16;

/// The packages of a phone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packages {
    by_uid: BTreeMap<u32, Vec<String>>,
}

impl Packages {
    /// Asks the phone, for all its users.
    ///
    /// # Errors
    /// It can't be reached, or does not tell.
    pub fn ask(phone: &Phone) -> Result<Self, DeviceError> {
        Self::ask_as(&phone.adb, phone.root.as_ref().ok().copied())
    }

    /// As [`Packages::ask`], for those who have no phone at hand, only the way to it.
    pub(super) fn ask_as(adb: &Adb, root: Option<Root>) -> Result<Self, DeviceError> {
        let run = |script: &str| match root {
            Some(root) => root.shell(adb, script),
            None => adb.shell(script),
        };
        let mut users = parse_users(&run("pm list users")?.out);
        if users.is_empty() {
            users.push(0);
        }
        users.truncate(USERS_MAX);
        let mut packages = Self::default();
        for user in users {
            let answer = run(&format!("pm list packages -U --user {user}"))?;
            if user == 0 {
                packages.add(&answer.into_out("pm list packages")?, 0);
            } else {
                // A work profile may be locked; what it holds is then not known.
                packages.add(&answer.out, user);
            }
        }
        Ok(packages)
    }

    /// Adds what `pm list packages -U --user N` printed.
    pub fn add(&mut self, text: &str, user: u32) {
        for line in text.lines() {
            let Some((package, uids)) = line.strip_prefix("package:").and_then(|line| line.split_once(" uid:")) else {
                continue;
            };
            // Newer builds list the uids of all users it is installed for.
            for uid in uids.split(',').filter_map(|uid| uid.trim().parse::<u32>().ok()) {
                let uid = if uid < USER_RANGE { user * USER_RANGE + uid } else { uid };
                if uid / USER_RANGE == user && self.by_uid.len() < PACKAGES_MAX {
                    let names = self.by_uid.entry(uid).or_default();
                    if !names.iter().any(|name| name == package.trim()) {
                        names.push(package.trim().to_owned());
                    }
                }
            }
        }
    }

    /// The packages that share a uid, in the order the phone lists them.
    #[must_use]
    pub fn of_uid(&self, uid: u32) -> &[String] {
        self.by_uid.get(&uid).map_or(&[], Vec::as_slice)
    }

    /// The uids of a package, one for each user it is installed for.
    #[must_use]
    pub fn uids_of(&self, package: &str) -> Vec<u32> {
        let has = |names: &Vec<String>| names.iter().any(|name| name == package);
        self.by_uid.iter().filter(|(_, names)| has(names)).map(|(uid, _)| *uid).collect()
    }
}

/// Reads `pm list users`: `UserInfo{10:Work profile:1030} running` a line.
#[must_use]
pub fn parse_users(text: &str) -> Vec<u32> {
    let user = |line: &str| line.trim().strip_prefix("UserInfo{")?.split(':').next()?.parse().ok();
    text.lines().filter_map(user).filter(|user: &u32| *user < u32::MAX / USER_RANGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_told_from_the_noise() {
        let text = "Users:\n\tUserInfo{0:Owner:c13} running\n\tUserInfo{10:Work profile:1030} running\n\tUserInfo{x}\n";
        assert_eq!(parse_users(text), [0, 10]);
        assert_eq!(parse_users("Error: unknown command 'list users'"), [] as [u32; 0]);
    }

    #[test]
    fn packages_of_all_users_by_their_uid() {
        let mut packages = Packages::default();
        packages.add("package:com.a uid:10101\npackage:com.b uid:10101\npackage:com.c uid:10102,1010102\nnoise\n", 0);
        packages.add("package:com.a uid:1010101\npackage:com.c uid:10102,1010102\npackage:com.d uid:x\n", 10);
        assert_eq!(packages.of_uid(10101), ["com.a", "com.b"]);
        assert_eq!(packages.of_uid(1_010_101), ["com.a"]);
        assert_eq!(packages.uids_of("com.a"), [10101, 1_010_101]);
        assert_eq!(packages.uids_of("com.c"), [10102, 1_010_102]);
        assert_eq!(packages.uids_of("com.none"), [] as [u32; 0]);
    }
}
