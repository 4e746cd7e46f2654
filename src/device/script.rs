//! What is run as root on the phone: the trust store by mounts, and chains of iptables. Each has a script that does it,
//! one that undoes it and can be run again, and one that tells whether it stands.

use super::quote::quoted;
use super::step::{Family, Table};

/// Mounts of ours have this as their source, which tells them from all others.
const SOURCE: &str = "divulge";
/// The chain of ours.
pub(super) const CHAIN: &str = "DIVULGE";
/// The system's certificates up to Android 13.
const SYSTEM_STORE: &str = "/system/etc/security/cacerts";
/// The system's certificates since Android 14.
const APEX_STORE: &str = "/apex/com.android.conscrypt/cacerts";
/// Where the new store is put together, in memory.
const WORKSHOP: &str = "/data/local/tmp/divulge-ca";
/// Where the certificate is pushed to.
pub(super) const PUSHED: &str = "/data/local/tmp/divulge-ca.pem";
/// What is said where a mount is not seen by the apps.
pub(super) const UNSEEN: &str =
    "apps do not see the mount, su has a mount namespace of its own; in Magisk, set Mount Namespace Mode to Global";

/// Words that all scripts on mounts use. `undo_all MOUNTS DIR COMMAND…` unmounts ours from a folder until none is left; what
/// somebody else put over ours is left alone, and is a failure.
fn words() -> String {
    format!(
        r#"D={SYSTEM_STORE}; A={APEX_STORE}; T={WORKSHOP}
ours() {{ grep -q "^{SOURCE} $2 " "$1" 2>/dev/null; }}
undo_all() {{
  m=$1; d=$2; shift 2; n=0
  while ours "$m" "$d"; do
    grep " $d " "$m" | tail -n 1 | grep -q "^{SOURCE} " || {{ echo "another mount lies over ours on $d" >&2; return 1; }}
    "$@" umount "$d" 2>/dev/null || "$@" umount -l "$d" || return 1
    n=$((n+1)); [ $n -lt 32 ] || return 1
  done
}}
zygotes() {{ pidof zygote64; pidof zygote; }}
children() {{ ps -o PID -P "$1" 2>/dev/null | grep -v PID; }}
"#
    )
}

/// Mounts a store with the certificate in it over the system's. It is put together in memory and laid over in one go, so
/// that at no time an app finds the store empty, and nothing is left after a reboot.
pub(super) fn mount_store(file: &str) -> String {
    let file = quoted(file);
    words()
        + &format!(
            r#"set -e
mkdir -p $T
mount -t tmpfs {SOURCE} $T
cp $D/* $T/
if [ -d $A ]; then cp $A/* $T/; fi
cp {PUSHED} $T/{file}
chown -R root:root $T
chmod 755 $T
chmod 644 $T/*
chcon -R u:object_r:system_file:s0 $T || [ "$(getenforce)" != Enforcing ]
mount -o bind $T $D
umount $T
rmdir $T
rm -f {PUSHED}"#
        )
}

/// Takes our stores away again.
pub(super) fn unmount_store() -> String {
    words()
        + &format!(
            r"undo_all /proc/mounts $D || exit 1
undo_all /proc/mounts $T || exit 1
[ ! -d $T ] || rmdir $T || exit 1
rm -f {PUSHED}"
        )
}

/// Whether our store is there, with the certificate, and apps see it; 3 if only they do not.
pub(super) fn store_stands(file: &str) -> String {
    let file = quoted(file);
    words()
        + &format!(
            "ours /proc/mounts $D && [ -f $D/{file} ] || exit 1\n\
             for p in $(zygotes); do ours /proc/$p/mounts $D || exit 3; done"
        )
}

/// Lays the same store over that of the APEX, whose mounts are private to each namespace: in this one, in those of the
/// zygotes, from which new apps get it, and in that of each app that runs.
pub(super) fn bind_apex() -> String {
    words()
        + r"mount -o bind $D $A || exit 1
for p in $(zygotes); do
  nsenter --mount=/proc/$p/ns/mnt -- mount -o bind $D $A || exit 1
  for q in $(children $p); do
    # An app that has ended since is none to see to.
    nsenter --mount=/proc/$q/ns/mnt -- mount -o bind $D $A || [ ! -d /proc/$q ] || exit 1
  done
done"
}

/// Takes it away from all of them.
pub(super) fn unbind_apex() -> String {
    words()
        + r"r=0
for p in $(zygotes); do
  for q in $(children $p) $p; do
    ours /proc/$q/mounts $A || continue
    undo_all /proc/$q/mounts $A nsenter --mount=/proc/$q/ns/mnt -- || [ ! -d /proc/$q ] || r=1
  done
done
undo_all /proc/mounts $A || r=1
exit $r"
}

/// Whether it is there in this namespace and those of the zygotes.
pub(super) fn apex_stands() -> String {
    words()
        + r#"ours /proc/mounts $A || exit 1
z=$(zygotes); [ -n "$z" ] || exit 1
for p in $z; do ours /proc/$p/mounts $A || exit 1; done"#
}

/// Whether a store for the APEX is there at all.
pub(super) fn has_apex() -> String {
    words() + "[ -d $A ]"
}

/// Names of the stores that hold a certificate's file, a word each: `system`, `apex`, `user`.
pub(super) fn stores_with(file: &str) -> String {
    let file = quoted(file);
    words()
        + &format!(
            "[ -f $D/{file} ] && echo system\n[ -f $A/{file} ] && echo apex\n\
             for u in /data/misc/user/*; do [ -f $u/cacerts-added/{file} ] && echo user; done; true"
        )
}

/// What of ours lies on the phone, a line each, whatever the journal says.
pub(super) fn leftovers() -> String {
    words()
        + &format!(
            r#"for f in $D $A $T; do ours /proc/mounts $f && echo "a mount on $f"; done
for p in $(zygotes); do
  ours /proc/$p/mounts $A && echo "a mount on $A, seen by zygote $p"
done
[ -e {PUSHED} ] && echo "the file {PUSHED}"
for i in iptables ip6tables; do
  for t in nat filter; do
    $i -t $t -S 2>/dev/null | grep -q "^-N {CHAIN}$" && echo "a chain {CHAIN} in $i, table $t"
  done
done; true"#
        )
}

/// The tool that holds a chain.
fn tool(family: Family, waits: bool) -> String {
    let program = match family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    };
    // Another program may hold the lock; old builds can't wait for it.
    if waits { format!("{program} -w") } else { program.to_owned() }
}

/// Makes the chain, fills it, and only then sends traffic through it.
pub(super) fn add_chain(family: Family, table: Table, waits: bool, rules: &[String]) -> String {
    let tool = format!("{} -t {}", tool(family, waits), table.name());
    let mut script = format!("set -e\n{tool} -N {CHAIN}\n");
    for rule in rules {
        let rule: Vec<String> = rule.split(' ').map(quoted).collect();
        script.push_str(&format!("{tool} -A {CHAIN} {}\n", rule.join(" ")));
    }
    script + &format!("{tool} -I OUTPUT -j {CHAIN}")
}

/// Takes traffic out of the chain, then the chain away. A table that can't be listed is a failure, an absent chain none.
pub(super) fn remove_chain(family: Family, table: Table, waits: bool) -> String {
    let tool = format!("{} -t {}", tool(family, waits), table.name());
    format!(
        r#"list=$({tool} -S) || exit 1
case "$list" in *{CHAIN}*) ;; *) exit 0 ;; esac
while {tool} -C OUTPUT -j {CHAIN} 2>/dev/null; do {tool} -D OUTPUT -j {CHAIN} || exit 1; done
{tool} -F {CHAIN} && {tool} -X {CHAIN}"#
    )
}

/// The rules of a table.
pub(super) fn list_chain(family: Family, table: Table, waits: bool) -> String {
    format!("{} -t {} -S", tool(family, waits), table.name())
}

/// Whether iptables can wait for its lock.
pub(super) const CAN_WAIT: &str = "iptables -w -t filter -S OUTPUT >/dev/null 2>&1";
