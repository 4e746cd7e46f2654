//! Whose connection it is: the phone's tables of sockets and packages, read again and again in a thread of its own for as
//! long as somebody asks.

use super::adb::Adb;
use super::error::DeviceError;
use super::packages::{Packages, USER_RANGE};
use super::phone::Phone;
use super::root::Root;
use super::sockets::{Socket, parse_sockets};
use crate::model::App;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Most sockets remembered, and most of them with the same port.
const SEEN_MAX: usize = 65_536;
const SEEN_PER_PORT: usize = 8;
/// Shortest pause between two looks, however eagerly somebody asks.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause while the phone does not answer.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Names that are listed of those who share a uid; uid 1000 has dozens.
const NAMES_MAX: usize = 4;
/// Processes without rights of their own (WebView, Chrome's tabs); which app started one is not told by its uid.
const ISOLATED: std::ops::RangeInclusive<u32> = 90_000..=99_999;
/// Sandboxes in which the advertising SDKs of an app run since Android 13, and how far their uids are from the app's.
const SDK_SANDBOX: std::ops::RangeInclusive<u32> = 20_000..=29_999;
const SDK_SANDBOX_DISTANCE: u32 = 10_000;

/// How closely the phone is watched.
#[derive(Debug, Clone)]
pub struct Watch {
    /// Between two looks at the sockets.
    pub every: Duration,
    /// Between two looks at the packages.
    pub packages_every: Duration,
    /// How long a socket is remembered after it was last seen.
    pub keep: Duration,
    /// The proxy's port. With it, connections are known by their port alone where the phone's address is rewritten on
    /// the way; without it, the address has to be the phone's own.
    pub proxy_port: Option<u16>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            every: Duration::from_millis(500),
            packages_every: Duration::from_secs(30),
            keep: Duration::from_secs(120),
            proxy_port: None,
        }
    }
}

/// Tells whose a connection is, until it is dropped.
#[derive(Debug)]
pub struct Apps {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    signal: Mutex<Signal>,
    woken: Condvar,
}

/// What the asking thread tells the watching one.
#[derive(Debug, Default)]
struct Signal {
    stop: bool,
    look: bool,
}

impl Apps {
    /// Begins to watch a phone.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn watch(phone: &Phone, watch: Watch) -> std::io::Result<Self> {
        let table = Table { watch, ..Table::default() };
        let shared = Arc::new(Shared { table: Mutex::new(table), signal: Mutex::default(), woken: Condvar::new() });
        let watcher = Watcher {
            adb: phone.adb.clone().with_timeout(ANSWER_MAX),
            root: phone.root.as_ref().ok().copied(),
            shared: Arc::clone(&shared),
        };
        thread::Builder::new().name("phone".to_owned()).spawn(move || watcher.run())?;
        Ok(Self { shared })
    }

    /// Whose the connection is that comes from this address, as the proxy sees it. None where it is not known, or not
    /// yet: asking has the phone looked at soon, so that asking again helps. A connection that comes over `adb reverse`
    /// or an emulator's own network has lost its port, and stays unknown.
    #[must_use]
    pub fn app_of(&self, client: SocketAddr) -> Option<Arc<App>> {
        let found = lock(&self.shared.table).app_of(client);
        if found.is_none() {
            lock(&self.shared.signal).look = true;
            self.shared.woken.notify_one();
        }
        found
    }

    /// Why the phone could not be looked at the last time, if so.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        lock(&self.shared.table).trouble.clone()
    }
}

impl Drop for Apps {
    fn drop(&mut self) {
        // The thread is not waited for: it may be in the middle of a question to a phone that is gone.
        lock(&self.shared.signal).stop = true;
        self.shared.woken.notify_one();
    }
}

/// The thread that asks.
struct Watcher {
    adb: Adb,
    root: Option<Root>,
    shared: Arc<Shared>,
}

impl Watcher {
    fn run(self) {
        let watch = lock(&self.shared.table).watch.clone();
        let mut packages_at: Option<Instant> = None;
        let mut pause = watch.every;
        loop {
            let due = packages_at.is_none_or(|at| at.elapsed() >= watch.packages_every);
            let looked = self.look(due);
            if due && looked.is_ok() {
                packages_at = Some(Instant::now());
            }
            // A phone that does not answer is asked less and less often.
            pause = if looked.is_ok() { watch.every } else { (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX) };
            let failed = looked.is_err();
            lock(&self.shared.table).trouble = looked.err().map(|error| error.to_string());
            if self.rest(pause, failed) {
                return;
            }
        }
    }

    /// One look at the sockets, and at the packages if that is due.
    fn look(&self, packages: bool) -> Result<(), DeviceError> {
        if packages {
            let packages = Packages::ask_as(&self.adb, self.root)?;
            lock(&self.shared.table).know(packages);
        }
        // One of the two may be missing; what is there is printed all the same.
        let script = "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null";
        let answer = match self.root {
            Some(root) => root.shell(&self.adb, script)?,
            None => self.adb.shell(script)?,
        };
        if answer.out.trim().is_empty() {
            return Err(DeviceError::Refused { what: "reading /proc/net/tcp".to_owned(), said: answer.said() });
        }
        lock(&self.shared.table).see(&parse_sockets(&answer.out), Instant::now());
        Ok(())
    }

    /// Waits until the next look is due; whether it is to end instead.
    fn rest(&self, pause: Duration, failed: bool) -> bool {
        let began = Instant::now();
        let mut signal = lock(&self.shared.signal);
        loop {
            let due = if signal.look && !failed { pause.min(PAUSE_MIN) } else { pause };
            let left = due.saturating_sub(began.elapsed());
            if signal.stop || left.is_zero() {
                signal.look = false;
                return signal.stop;
            }
            let waited = self.shared.woken.wait_timeout(signal, left);
            signal = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A socket, and when it was last there.
#[derive(Debug, Clone, Copy)]
struct Seen {
    socket: Socket,
    at: Instant,
}

/// What is known of the phone.
#[derive(Debug, Default)]
struct Table {
    watch: Watch,
    by_port: HashMap<u16, Vec<Seen>>,
    packages: Packages,
    apps: HashMap<u32, Arc<App>>,
    trouble: Option<String>,
}

impl Table {
    fn know(&mut self, packages: Packages) {
        if packages != self.packages {
            self.packages = packages;
            self.apps.clear();
        }
    }

    fn see(&mut self, sockets: &[Socket], now: Instant) {
        let keep = self.watch.keep;
        self.by_port.retain(|_, seen| {
            seen.retain(|seen| now.saturating_duration_since(seen.at) <= keep);
            !seen.is_empty()
        });
        let mut room = SEEN_MAX.saturating_sub(self.by_port.values().map(Vec::len).sum());
        for &socket in sockets {
            let seen = self.by_port.entry(socket.local.port()).or_default();
            // Each as it was last seen, the latest at the end.
            if let Some(known) = seen.iter().position(|seen| seen.socket == socket) {
                seen.remove(known);
            } else if seen.len() == SEEN_PER_PORT {
                seen.remove(0);
            } else if room == 0 {
                continue;
            } else {
                room -= 1;
            }
            seen.push(Seen { socket, at: now });
        }
        self.by_port.retain(|_, seen| !seen.is_empty());
    }

    fn app_of(&mut self, client: SocketAddr) -> Option<Arc<App>> {
        let address = client.ip().to_canonical();
        // Whoever comes from this computer itself has been carried there, under another port.
        if address.is_loopback() {
            return None;
        }
        let seen = self.by_port.get(&client.port())?;
        let exact = seen.iter().rev().find(|seen| seen.socket.local.ip() == address);
        let uid = exact.map(|seen| seen.socket.uid).or_else(|| self.behind_other_address(seen))?;
        Some(self.app(uid))
    }

    /// Whose it is where something on the way rewrites addresses and leaves ports: only if it leads to the proxy, and only
    /// if there is but one.
    fn behind_other_address(&self, seen: &[Seen]) -> Option<u32> {
        let port = self.watch.proxy_port?;
        let mut uids = seen
            .iter()
            .filter(|seen| seen.socket.remote.port() == port)
            .map(|seen| seen.socket.uid)
            .collect::<Vec<_>>();
        uids.dedup();
        match uids.as_slice() {
            [uid] => Some(*uid),
            _ => None,
        }
    }

    fn app(&mut self, uid: u32) -> Arc<App> {
        let packages = &self.packages;
        Arc::clone(self.apps.entry(uid).or_insert_with(|| Arc::new(describe(uid, packages))))
    }
}

/// What can be said of a uid.
fn describe(uid: u32, packages: &Packages) -> App {
    let app_id = uid % USER_RANGE;
    let owner = if SDK_SANDBOX.contains(&app_id) { uid - SDK_SANDBOX_DISTANCE } else { uid };
    let names = packages.of_uid(owner);
    let package = match names {
        [] => None,
        names if names.len() <= NAMES_MAX => Some(names.join(", ")),
        names => Some(format!("{} and {} more", names[..NAMES_MAX].join(", "), names.len() - NAMES_MAX)),
    };
    let name = ISOLATED.contains(&app_id).then_some("isolated process").or_else(|| system_name(app_id));
    App { uid: i32::try_from(uid).ok(), package: package.map(Arc::from), name: name.map(Arc::from) }
}

/// Names of Android's own uids that have no package.
fn system_name(app_id: u32) -> Option<&'static str> {
    Some(match app_id {
        0 => "root",
        1013 => "media",
        1021 => "gps",
        1051 => "dns",
        2000 => "shell",
        _ => return None,
    })
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(local: &str, remote: &str, uid: u32) -> Socket {
        let end = |text: &str| text.parse().expect("an address");
        Socket { local: end(local), remote: end(remote), uid }
    }

    fn table() -> Table {
        let mut packages = Packages::default();
        packages.add("package:com.a uid:10101\npackage:com.b uid:10102\npackage:com.b.too uid:10102\n", 0);
        packages.add("package:com.a uid:1010101\n", 10);
        let system: String = (0..6).map(|n| format!("package:android.{n} uid:1000\n")).collect();
        packages.add(&system, 0);
        let mut table = Table::default();
        table.know(packages);
        table
    }

    fn names(table: &mut Table, client: &str) -> Option<(i32, String)> {
        let app = table.app_of(client.parse().expect("an address"))?;
        Some((app.uid.expect("a uid"), app.package.as_deref().or(app.name.as_deref()).unwrap_or("?").to_owned()))
    }

    #[test]
    fn a_connection_is_known_by_port_and_address() {
        let mut table = table();
        let now = Instant::now();
        table.see(
            &[
                socket("10.0.0.7:5000", "10.0.0.2:8080", 10101),
                socket("127.0.0.1:5001", "127.0.0.1:8080", 10101),
                socket("10.0.0.7:5002", "10.0.0.2:8080", 10102),
                socket("10.0.0.7:5003", "10.0.0.2:8080", 1_010_101),
                socket("10.0.0.7:5004", "10.0.0.2:8080", 99_005),
                socket("10.0.0.7:5005", "10.0.0.2:8080", 20_101),
                socket("10.0.0.7:5006", "10.0.0.2:8080", 1000),
                socket("10.0.0.7:5007", "10.0.0.2:8080", 1051),
            ],
            now,
        );
        for (client, wanted) in [
            ("10.0.0.7:5000", Some((10101, "com.a"))),
            ("[::ffff:10.0.0.7]:5000", Some((10101, "com.a"))),
            ("10.0.0.9:5000", None),
            ("127.0.0.1:5001", None),
            ("10.0.0.7:5002", Some((10102, "com.b, com.b.too"))),
            ("10.0.0.7:5003", Some((1_010_101, "com.a"))),
            ("10.0.0.7:5004", Some((99_005, "isolated process"))),
            ("10.0.0.7:5005", Some((20_101, "com.a"))),
            ("10.0.0.7:5006", Some((1000, "android.0, android.1, android.2, android.3 and 2 more"))),
            ("10.0.0.7:5007", Some((1051, "dns"))),
            ("10.0.0.7:5999", None),
        ] {
            let wanted = wanted.map(|(uid, name)| (uid, name.to_owned()));
            assert_eq!(names(&mut table, client), wanted, "{client}");
        }
    }

    #[test]
    fn behind_another_address_the_port_has_to_lead_to_the_proxy_and_be_the_only_one() {
        let mut table = table();
        table.watch.proxy_port = Some(8080);
        let now = Instant::now();
        table.see(&[socket("192.168.1.7:5000", "10.0.0.2:8080", 10101)], now);
        table.see(&[socket("192.168.1.7:5001", "10.0.0.2:443", 10101)], now);
        assert_eq!(names(&mut table, "10.0.0.1:5000"), Some((10101, "com.a".to_owned())));
        assert_eq!(names(&mut table, "10.0.0.1:5001"), None);
        table.see(&[socket("192.168.1.8:5000", "10.0.0.2:8080", 10102)], now);
        assert_eq!(names(&mut table, "10.0.0.1:5000"), None);
    }

    #[test]
    fn the_last_owner_of_a_port_counts_and_old_ones_are_forgotten() {
        let mut table = table();
        let now = Instant::now();
        table.see(&[socket("10.0.0.7:5000", "10.0.0.2:8080", 10101)], now);
        table.see(&[socket("10.0.0.7:5000", "10.0.0.2:8080", 10102)], now + Duration::from_secs(1));
        assert_eq!(names(&mut table, "10.0.0.7:5000").map(|(uid, _)| uid), Some(10102));
        table.see(&[], now + Duration::from_secs(60));
        assert_eq!(names(&mut table, "10.0.0.7:5000").map(|(uid, _)| uid), Some(10102));
        table.see(&[], now + Duration::from_secs(122));
        assert_eq!(names(&mut table, "10.0.0.7:5000"), None);
        assert!(table.by_port.is_empty());
    }

    #[test]
    fn the_table_is_bounded() {
        let mut table = table();
        let now = Instant::now();
        for uid in 0..100 {
            table.see(&[socket("10.0.0.7:5000", "10.0.0.2:8080", uid)], now);
        }
        assert_eq!(table.by_port.get(&5000).map(Vec::len), Some(SEEN_PER_PORT));
        for part in 0..20_u32 {
            let sockets: Vec<Socket> =
                (1..10_000_u16).map(|port| socket(&format!("10.0.{part}.7:{port}"), "10.0.0.2:8080", part)).collect();
            table.see(&sockets, now);
        }
        assert!(table.by_port.values().map(Vec::len).sum::<usize>() <= SEEN_MAX);
    }
}
