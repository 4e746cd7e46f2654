//! Which clients do not take our certificates, and for which hosts. Their connections are passed through from then on.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most pairs of client and host remembered; the oldest is forgotten first.
pub(super) const PINS_MAX: usize = 16_384;

/// How long a client that left without a word is passed through before it is tried once more, each time it does so.
const SUSPECTED_FOR: [Duration; 3] = [Duration::from_secs(3), Duration::from_secs(30), Duration::from_secs(300)];

/// A client: its app where that is known, else where it comes from and, once that is known, its TLS stack. One app's
/// pinning is no other's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Who {
    App(i32),
    Address(IpAddr, u64),
}

/// Why a host is passed through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The client refused our certificate.
    Refused,
    /// Client and origin speak a TLS that we do not.
    Incompatible,
}

#[derive(Default)]
struct Known {
    by_pair: HashMap<(Who, Arc<str>), Standing>,
    in_order: VecDeque<(Who, Arc<str>)>,
}

#[derive(Debug, Clone, Copy)]
enum Standing {
    /// It took our certificate and sent something.
    Trusted,
    Passed(Why),
    /// It left without a word, which need not have been about the certificate: browsers drop connections they turn out
    /// not to need, also in the middle of a handshake. Passed through until then, to be tried once more; the number says
    /// how often it has been.
    PassedUntil(Instant, u32),
    /// It is being tried once more.
    OnTrial(u32),
}

/// What is known so far in this session.
#[derive(Default)]
pub(super) struct Pins(Mutex<Known>);

impl Pins {
    /// Whether connections of a client to a host are to be passed through.
    pub(super) fn passed(&self, who: &Who, host: &str) -> Option<Why> {
        match self.get(who, host) {
            Some(Standing::Passed(why)) => Some(why),
            Some(Standing::PassedUntil(until, _)) if Instant::now() < until => Some(Why::Refused),
            Some(Standing::PassedUntil(_, tries)) => {
                self.set(who.clone(), host, Standing::OnTrial(tries + 1));
                None
            }
            Some(Standing::Trusted | Standing::OnTrial(_)) | None => None,
        }
    }

    /// Whether a client has taken our certificate for a host before.
    pub(super) fn is_trusted(&self, who: &Who, host: &str) -> bool {
        matches!(self.get(who, host), Some(Standing::Trusted))
    }

    pub(super) fn pass(&self, who: Who, host: &str, why: Why) {
        self.set(who, host, Standing::Passed(why));
    }

    /// A client left without a word after it had our certificate: it is passed through for a while, ten times as long each
    /// time it does so again when tried once more, and in the end for good.
    pub(super) fn suspect(&self, who: Who, host: &str) {
        let tries = match self.get(&who, host) {
            Some(Standing::Passed(_) | Standing::PassedUntil(..)) => return,
            Some(Standing::OnTrial(tries)) => tries,
            Some(Standing::Trusted) | None => 0,
        };
        let standing = match SUSPECTED_FOR.get(tries as usize) {
            Some(&time) => Standing::PassedUntil(Instant::now() + time, tries),
            None => Standing::Passed(Why::Refused),
        };
        self.set(who, host, standing);
    }

    pub(super) fn trust(&self, who: Who, host: &str) {
        self.set(who, host, Standing::Trusted);
    }

    fn get(&self, who: &Who, host: &str) -> Option<Standing> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.by_pair.get(&(who.clone(), Arc::from(host.to_ascii_lowercase()))).copied()
    }

    fn set(&self, who: Who, host: &str, standing: Standing) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (who, Arc::from(host.to_ascii_lowercase()));
        if known.by_pair.insert(pair.clone(), standing).is_none() {
            known.in_order.push_back(pair);
            if known.in_order.len() > PINS_MAX
                && let Some(oldest) = known.in_order.pop_front()
            {
                known.by_pair.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PINS_MAX, Pins, Who, Why};

    #[test]
    fn who_leaves_without_a_word_is_passed_through_and_tried_again_now_and_then() {
        let (pins, who) = (Pins::default(), Who::App(1));
        for tries in 0..3 {
            pins.suspect(who.clone(), "a");
            pins.suspect(who.clone(), "a");
            assert_eq!(pins.passed(&who, "a"), Some(Why::Refused), "{tries}");
            pins.set(who.clone(), "a", super::Standing::PassedUntil(std::time::Instant::now(), tries));
            assert_eq!(pins.passed(&who, "a"), None, "{tries}");
        }
        pins.suspect(who.clone(), "a");
        assert!(matches!(pins.get(&who, "a"), Some(super::Standing::Passed(Why::Refused))));
        pins.trust(who.clone(), "a");
        assert_eq!(pins.passed(&who, "a"), None);
    }

    #[test]
    fn a_pin_is_one_clients_and_one_hosts_and_the_oldest_goes_first() {
        let pins = Pins::default();
        pins.pass(Who::App(1), "A.example", Why::Refused);
        assert_eq!(pins.passed(&Who::App(1), "a.example"), Some(Why::Refused));
        assert_eq!(pins.passed(&Who::App(2), "a.example"), None);
        assert_eq!(pins.passed(&Who::App(1), "b.example"), None);
        pins.trust(Who::App(2), "a.example");
        assert!(pins.is_trusted(&Who::App(2), "a.example") && !pins.is_trusted(&Who::App(1), "a.example"));
        for number in 0..PINS_MAX {
            pins.pass(Who::App(3), &number.to_string(), Why::Incompatible);
        }
        assert_eq!(pins.passed(&Who::App(1), "a.example"), None);
    }
}
