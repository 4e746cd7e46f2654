//! What the proxy is told to do, checked.

use super::host::{HostPattern, split_authority};
use crate::model::App;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// How clients reach the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They know it as an HTTP proxy (RFC 9110 §9.3.6 CONNECT, RFC 9112 §3.2.2 absolute form).
    Regular,
    /// They know it as a SOCKS proxy (RFC 1928, RFC 1929).
    Socks5,
    /// They don't know of it: the kernel redirects their connections (Linux netfilter REDIRECT, `SO_ORIGINAL_DST`), or
    /// something before us does, and then the name they ask for says where to.
    Transparent,
    /// They don't know of it: the kernel hands their packets over unchanged (Linux TPROXY, `IP_TRANSPARENT`).
    Tproxy,
}

/// A user name and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl FromStr for Credentials {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |part: &str| !part.is_empty() && part.len() <= 255;
        match text.split_once(':') {
            Some((user, password)) if fits(user) && fits(password) => {
                Ok(Self { user: user.to_owned(), password: password.to_owned() })
            }
            _ => Err("expected USER:PASSWORD, each of 1 to 255 bytes".to_owned()),
        }
    }
}

/// What another proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamKind {
    /// HTTP CONNECT.
    Http,
    /// SOCKS5; names are resolved there.
    Socks5,
}

/// Another proxy, through which origins are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// What it speaks.
    pub kind: UpstreamKind,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it wants to know of us.
    pub credentials: Option<Credentials>,
}

impl FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("\"{text}\": expected http://[USER:PASSWORD@]HOST:PORT or socks5://…");
        let (scheme, rest) = text.split_once("://").ok_or_else(expected)?;
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "http" => UpstreamKind::Http,
            "socks5" | "socks5h" => UpstreamKind::Socks5,
            _ => return Err(expected()),
        };
        let rest = rest.trim_end_matches('/');
        let (credentials, authority) = match rest.rsplit_once('@') {
            Some((credentials, authority)) => {
                let plain = percent_encoding::percent_decode_str(credentials).decode_utf8_lossy();
                (Some(plain.parse().map_err(|_| expected())?), authority)
            }
            None => (None, rest),
        };
        let default = match kind {
            UpstreamKind::Http => 8080,
            UpstreamKind::Socks5 => 1080,
        };
        let (host, port) = split_authority(authority, Some(default)).ok_or_else(expected)?;
        Ok(Self { kind, host, port, credentials })
    }
}

/// A certificate to show to origins that ask for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The origins.
    pub host: HostPattern,
    /// PEM: the certificate, what it was issued by, and the private key.
    pub file: PathBuf,
}

/// Says which app a client's connection belongs to, by the address it comes from.
pub type AppOf = Arc<dyn Fn(SocketAddr) -> Option<Arc<App>> + Send + Sync>;

/// The configuration.
#[derive(Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// How clients may come; any of them on each address.
    pub modes: Vec<Mode>,
    /// What clients have to know, where they know of the proxy.
    pub auth: Option<Credentials>,
    /// Clients that may connect; all of them where it is empty.
    pub allow: Vec<IpNet>,
    /// Whether this machine itself and link-local addresses may be reached through the proxy.
    pub allow_local: bool,
    /// Another proxy to go through.
    pub upstream: Option<Upstream>,
    /// Names with the address to use for them instead of asking.
    pub resolve: Vec<(String, IpAddr)>,
    /// More certificates to trust origins by (PEM).
    pub upstream_ca: Vec<PathBuf>,
    /// Origins whose certificate is taken as it is.
    pub insecure: Vec<HostPattern>,
    /// Certificates for origins that ask for one.
    pub client_certificates: Vec<ClientCertificate>,
    /// Hosts whose traffic is not opened.
    pub passthrough: Vec<HostPattern>,
    /// `SO_MARK` of our own connections (Linux), by which rules for transparent mode leave them alone.
    pub mark: Option<u32>,
    /// Most connections at a time.
    pub connections_max: usize,
    /// Most connections of one client at a time.
    pub connections_per_client_max: usize,
    /// A connection on which nothing is sent for so long is ended.
    pub idle: Duration,
    /// Whether the bytes that pass are tapped; incidents always are.
    pub tap: bool,
    /// Names apps.
    pub app_of: Option<AppOf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
            modes: vec![Mode::Regular],
            auth: None,
            allow: Vec::new(),
            allow_local: false,
            upstream: None,
            resolve: Vec::new(),
            upstream_ca: Vec::new(),
            insecure: Vec::new(),
            client_certificates: Vec::new(),
            passthrough: Vec::new(),
            mark: None,
            connections_max: 20_000,
            connections_per_client_max: 12_000,
            idle: Duration::from_secs(600),
            tap: true,
            app_of: None,
        }
    }
}

impl Config {
    pub(super) fn has(&self, mode: Mode) -> bool {
        self.modes.contains(&mode)
    }

    /// Refuses what would make an open proxy.
    ///
    /// # Errors
    /// Where anybody could use it: an address others can reach, and neither clients nor credentials named.
    pub fn check(&self) -> Result<(), ConfigError> {
        let open = self.listen.iter().find(|address| !address.ip().to_canonical().is_loopback());
        // Clients that don't know of the proxy can't tell it a password.
        let unaware = self.has(Mode::Transparent) || self.has(Mode::Tproxy);
        match open {
            Some(address) if self.allow.is_empty() && (self.auth.is_none() || unaware) => {
                Err(ConfigError::Open { address: *address, unaware })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that can't be used.
    #[error("{file}: {message}")]
    File {
        /// The file.
        file: String,
        /// What is wrong, and what was expected.
        message: String,
    },
    /// TLS can't be set up.
    #[error("TLS: {0}")]
    Tls(String),
    /// Anybody could use the proxy.
    #[error(
        "{address} can be reached by others: say who may use the proxy with --allow CIDR{}",
        if *unaware { " (clients of transparent modes can't give a password)" } else { " or --auth USER:PASSWORD" }
    )]
    Open {
        /// Where it would listen.
        address: SocketAddr,
        /// Whether credentials would not help.
        unaware: bool,
    },
    /// It can't listen there.
    #[error("{address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A thread can't be started.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
}

impl ConfigError {
    pub(super) fn file(file: &Path, message: &str) -> Self {
        Self::File { file: file.display().to_string(), message: message.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, Credentials, Mode, Upstream, UpstreamKind};

    #[test]
    fn an_open_proxy_is_refused() {
        let public = Config { listen: vec!["0.0.0.0:8080".parse().unwrap()], ..Config::default() };
        assert!(Config::default().check().is_ok());
        assert!(public.check().is_err());
        let auth = Some("u:p".parse::<Credentials>().unwrap());
        assert!(Config { auth: auth.clone(), ..public.clone() }.check().is_ok());
        let modes = vec![Mode::Regular, Mode::Transparent];
        assert!(Config { auth, modes: modes.clone(), ..public.clone() }.check().is_err());
        let allow = vec!["192.168.1.0/24".parse().unwrap()];
        assert!(Config { allow, modes, ..public }.check().is_ok());
    }

    #[test]
    fn other_proxies_are_named_by_urls() {
        let read: Upstream = "socks5://us%65r:p@[::1]:9050/".parse().unwrap();
        assert_eq!((read.kind, read.host.as_str(), read.port), (UpstreamKind::Socks5, "::1", 9050));
        assert_eq!(read.credentials.map(|c| (c.user, c.password)), Some(("user".to_owned(), "p".to_owned())));
        assert_eq!("http://proxy".parse::<Upstream>().unwrap().port, 8080);
        for wrong in ["proxy:80", "ftp://x", "http://", "http://a b:1"] {
            assert!(wrong.parse::<Upstream>().is_err(), "{wrong}");
        }
        assert!(!format!("{:?}", "u:secret".parse::<Credentials>().unwrap()).contains("secret"));
    }
}
