//! Host → the [`Party`] that receives what is sent there: the app's own side, an SDK or company of the rules, else
//! the registrable domain. Reads no traffic; what is sent is the detector's matter.

use crate::model::{Party, Role};
use crate::rules::{FIRST_PARTY, RuleSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Names receivers by host.
#[derive(Debug, Clone)]
pub struct Attributor {
    rules: Arc<RuleSet>,
    /// Lower-case domains and hosts of the app's own servers.
    first_party: Vec<String>,
    own: Arc<Party>,
}

impl Attributor {
    /// An attributor for an app whose own servers are at `first_party`: domains, of which all subdomains count too,
    /// host names or addresses. Domains of the command line and of the profile go into the one list.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, first_party: &[String]) -> Self {
        let first_party = first_party.iter().map(|domain| clean(domain)).filter(|d| !d.is_empty()).collect();
        let own = Arc::new(Party { id: Arc::from(FIRST_PARTY), name: Arc::from(FIRST_PARTY), role: Role::FirstParty });
        Self { rules, first_party, own }
    }

    /// Who receives what is sent to `host` (a name or an address, port and brackets allowed). The app's own domains
    /// come first, then the longest suffix of the rules; an unknown name is its registrable domain, an address itself.
    #[must_use]
    pub fn party(&self, host: &str) -> Arc<Party> {
        let host = clean(host);
        if self.first_party.iter().any(|domain| is_under(&host, domain)) {
            return Arc::clone(&self.own);
        }
        if host.is_empty() || host.parse::<IpAddr>().is_ok() {
            let name: Arc<str> = Arc::from(if host.is_empty() { "unknown" } else { &*host });
            return Arc::new(Party { id: Arc::clone(&name), name, role: Role::Unknown });
        }
        if let Some((rule, _)) = self.rules.party_by_host(&host) {
            return Arc::clone(&rule.party);
        }
        // A single label (`localhost`, `router`) or a bare public suffix belongs to nobody who can be named.
        let (name, role) = match psl::domain_str(&host) {
            Some(domain) => (domain, Role::ThirdParty),
            None => (&*host, Role::Unknown),
        };
        let name: Arc<str> = Arc::from(name);
        Arc::new(Party { id: Arc::clone(&name), name, role })
    }

    /// Whether the host belongs to the app's own side.
    #[must_use]
    pub fn is_first_party(&self, host: &str) -> bool {
        let host = clean(host);
        self.first_party.iter().any(|domain| is_under(&host, domain))
    }
}

/// The registrable domain of a lower-case host name (public suffix list); the host itself where it has none, as an
/// address, a single label or a public suffix.
#[must_use]
pub fn registrable_domain(host: &str) -> &str {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.parse::<IpAddr>().is_ok() {
        return host;
    }
    psl::domain_str(host).unwrap_or(host)
}

/// A host as compared: without the rest of a URL, port, brackets, `*.` and final dot, in ASCII lower case.
fn clean(host: &str) -> String {
    let host = host.trim();
    let host = host.split_once("://").map_or(host, |(_, rest)| rest);
    let host = host.split_once('/').map_or(host, |(name, _)| name);
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => match host.split_once(':') {
            Some((name, port)) if !port.contains(':') => name,
            _ => host,
        },
    };
    let host = host.strip_prefix("*.").or_else(|| host.strip_prefix('.')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Whether `host` is `domain` or a name under it.
fn is_under(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributor(first_party: &[&str]) -> Attributor {
        let rules = RuleSet::builtin().unwrap_or_else(|errors| panic!("{errors:?}"));
        let first_party: Vec<String> = first_party.iter().map(|domain| (*domain).to_owned()).collect();
        Attributor::new(Arc::new(rules), &first_party)
    }

    #[test]
    fn a_domain_may_be_given_as_an_address_of_the_web() {
        for domain in ["https://Example.com/", "http://example.com:8080/path", "example.com/", "*.example.com"] {
            assert!(attributor(&[domain]).is_first_party("api.example.com"), "{domain}");
        }
    }

    #[test]
    fn hosts_go_to_the_parties_that_run_them() {
        let attributor = attributor(&["example.com", "10.0.0.7"]);
        for (host, id, role) in [
            ("example.com", "first_party", Role::FirstParty),
            ("API.Example.com.", "first_party", Role::FirstParty),
            ("api.example.com:8443", "first_party", Role::FirstParty),
            ("10.0.0.7:80", "first_party", Role::FirstParty),
            ("notexample.com", "notexample.com", Role::ThirdParty),
            ("example.com.evil.net", "evil.net", Role::ThirdParty),
            ("stats.jpush.cn", "jpush", Role::ThirdParty),
            ("android.bugly.qq.com", "bugly", Role::ThirdParty),
            ("restapi.amap.com", "amap", Role::ThirdParty),
            ("ulogs.umeng.com", "umeng", Role::ThirdParty),
            ("foo.qq.com", "tencent", Role::ThirdParty),
            ("connectivitycheck.gstatic.com", "google_platform", Role::Platform),
            ("fonts.gstatic.com", "google", Role::ThirdParty),
            ("a.b.tracker.co.uk", "tracker.co.uk", Role::ThirdParty),
            ("collect.unknown-tracker.cn", "unknown-tracker.cn", Role::ThirdParty),
            ("203.0.113.9", "203.0.113.9", Role::Unknown),
            ("[2001:db8::1]:443", "2001:db8::1", Role::Unknown),
            ("2001:db8::1", "2001:db8::1", Role::Unknown),
            ("localhost", "localhost", Role::Unknown),
            ("", "unknown", Role::Unknown),
        ] {
            let party = attributor.party(host);
            assert_eq!((&*party.id, party.role), (id, role), "{host}");
        }
    }

    #[test]
    fn the_apps_own_domain_wins_over_the_rules() {
        let attributor = attributor(&["*.amap.com"]);
        assert_eq!(&*attributor.party("restapi.amap.com").id, "first_party");
        assert!(attributor.is_first_party("amap.com"));
        assert_eq!(&*attributor.party("umeng.com").id, "umeng");
    }

    #[test]
    fn registrable_domains_follow_the_public_suffix_list() {
        for (host, domain) in [
            ("a.b.example.com.cn", "example.com.cn"),
            ("example.com", "example.com"),
            ("com.cn", "com.cn"),
            ("router", "router"),
            ("192.168.1.1", "192.168.1.1"),
        ] {
            assert_eq!(registrable_domain(host), domain);
        }
    }
}
