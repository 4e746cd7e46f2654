//! What DNS answers told of addresses, over time: an address of a content network has many names, and a flow went to
//! the one that was asked for last before it began. TTLs do not matter, as the answer was used where a flow followed.

use crate::model::Timestamp;
use rustc_hash::FxHashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Most addresses whose DNS names are remembered.
pub const NAMES_MAX: usize = 262_144;
/// Most names of one address that are remembered: the latest.
pub const NAMES_PER_ADDRESS_MAX: usize = 64;

/// The names of addresses, each since when.
#[derive(Default)]
pub(super) struct AddressNames {
    names: FxHashMap<IpAddr, Vec<(Timestamp, Arc<str>)>>,
}

impl AddressNames {
    /// An answer gave this name for an address; false where there is no room to remember it.
    pub(super) fn learn(&mut self, address: IpAddr, ts: Timestamp, name: &Arc<str>) -> bool {
        if self.names.len() >= NAMES_MAX && !self.names.contains_key(&address) {
            return false;
        }
        let history = self.names.entry(address).or_default();
        let at = history.partition_point(|&(since, _)| since <= ts);
        if at.checked_sub(1).and_then(|before| history.get(before)).is_some_and(|(_, before)| before == name) {
            return true;
        }
        history.insert(at, (ts, Arc::clone(name)));
        if history.len() > NAMES_PER_ADDRESS_MAX {
            history.remove(0);
        }
        true
    }

    /// The name of an address at a time: the latest one told before, else the first one told after.
    pub(super) fn at(&self, address: IpAddr, ts: Timestamp) -> Option<&Arc<str>> {
        let history = self.names.get(&address)?;
        let after = history.partition_point(|&(since, _)| since <= ts);
        history.get(after.saturating_sub(1)).map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressNames, NAMES_PER_ADDRESS_MAX};
    use crate::model::Timestamp;
    use std::net::IpAddr;
    use std::sync::Arc;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn at(names: &AddressNames, nanos: i64) -> Option<&str> {
        names.at(ADDRESS, Timestamp::from_nanos(nanos)).map(|name| &**name)
    }

    #[test]
    fn the_name_told_last_before_a_flow_is_its_name() {
        let mut names = AddressNames::default();
        for (nanos, name) in [(10, "a.example"), (30, "b.example"), (20, "a.example"), (40, "b.example")] {
            assert!(names.learn(ADDRESS, Timestamp::from_nanos(nanos), &Arc::from(name)));
        }
        assert_eq!(
            (at(&names, 10), at(&names, 29), at(&names, 35)),
            (Some("a.example"), Some("a.example"), Some("b.example"))
        );
        assert_eq!(at(&names, 5), Some("a.example"), "an answer that was not captured may have come before");
        assert_eq!(names.at(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), Timestamp::from_nanos(1)), None);
    }

    #[test]
    fn of_many_names_the_latest_are_kept() {
        let mut names = AddressNames::default();
        for n in 0..i64::try_from(NAMES_PER_ADDRESS_MAX).expect("small") + 10 {
            names.learn(ADDRESS, Timestamp::from_nanos(n), &Arc::from(format!("n{n}.example")));
        }
        assert_eq!(at(&names, 1_000), Some("n73.example"));
        assert_eq!(at(&names, 0), Some("n10.example"));
    }
}
