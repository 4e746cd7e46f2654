//! What stands before a connection that a proxy forwards: the handshake of a SOCKS proxy (version 4, 4A and 5, with a
//! password or none), read from both directions, or a PROXY header, so that what travels behind it can be recognised.
//! Reads nothing of what follows; UDP ASSOCIATE is not followed.

mod header;

pub use header::{PROXY_HEADER_MAX, proxy_header};

use crate::model::Direction;

/// Longest handshake of one direction: SOCKS 5 with user name, password and domain name all at their longest.
pub const HANDSHAKE_MAX: usize = 2_048;

/// What first bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// The greeting of a client.
    Yes,
    /// Something else.
    No,
    /// Too short to tell.
    Unsure,
}

/// Whether a direction begins with the greeting of a SOCKS client.
#[must_use]
pub fn probe(direction: Direction, bytes: &[u8]) -> Probe {
    if direction == Direction::ToClient {
        return Probe::No;
    }
    match *bytes {
        [] | [4 | 5] => Probe::Unsure,
        [5, count, ref methods @ ..] if count > 0 && methods.len() <= usize::from(count) => {
            // Methods up to 9 are assigned, from 0x80 private (RFC 1928 §3).
            let known = methods.iter().all(|method| matches!(method, 0..=9 | 0x80..=0xfe));
            match (known, methods.len() == usize::from(count)) {
                (true, true) => Probe::Yes,
                (true, false) => Probe::Unsure,
                (false, _) => Probe::No,
            }
        }
        [4, 1 | 2, ref rest @ ..] => match rest.get(6..) {
            Some(names) if names.contains(&0) && names.len() <= HANDSHAKE_MAX => Probe::Yes,
            Some(names) if names.len() > HANDSHAKE_MAX => Probe::No,
            Some(_) | None => Probe::Unsure,
        },
        _ => Probe::No,
    }
}

/// How far a handshake has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    More,
    /// It is over; what follows it in each direction.
    Done {
        /// Bytes from the client behind the handshake.
        to_server: Vec<u8>,
        /// Bytes from the proxy behind it.
        to_client: Vec<u8>,
    },
    /// It failed or was none.
    Broken,
}

/// A handshake on its way.
#[derive(Debug, Default)]
pub struct Handshake {
    client: Vec<u8>,
    proxy: Vec<u8>,
}

impl Handshake {
    /// Takes bytes of a direction. Not to be called again once it is over.
    pub fn feed(&mut self, direction: Direction, bytes: &[u8]) -> Progress {
        match direction {
            Direction::ToServer => self.client.extend_from_slice(bytes),
            Direction::ToClient => self.proxy.extend_from_slice(bytes),
        }
        match self.lengths() {
            Ok(Some((client, proxy))) => {
                let to_server = self.client.split_off(client);
                Progress::Done { to_server, to_client: self.proxy.split_off(proxy) }
            }
            Ok(None) if self.client.len().max(self.proxy.len()) <= HANDSHAKE_MAX => Progress::More,
            Ok(None) | Err(Refused) => Progress::Broken,
        }
    }

    /// The bytes held of the client and of the proxy.
    pub fn take(&mut self) -> [Vec<u8>; 2] {
        [std::mem::take(&mut self.client), std::mem::take(&mut self.proxy)]
    }

    /// Bytes held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.client.len() + self.proxy.len()
    }

    /// Lengths of the handshake in both directions, once both are whole.
    fn lengths(&self) -> Result<Option<(usize, usize)>, Refused> {
        match self.client.first() {
            Some(4) => Ok(self.version4()),
            Some(5) => self.version5(),
            Some(_) => Err(Refused),
            None => Ok(None),
        }
    }

    /// `VN CD DSTPORT DSTIP USERID 0`, in version 4A with a domain name behind it where the address is `0.0.0.x`.
    fn version4(&self) -> Option<(usize, usize)> {
        let end = |from: usize| self.client.get(from..)?.iter().position(|&byte| byte == 0).map(|at| from + at + 1);
        let mut client = end(8)?;
        if let Some([0, 0, 0, last]) = self.client.get(4..8)
            && *last != 0
        {
            client = end(client)?;
        }
        (self.proxy.len() >= 8).then_some((client, 8))
    }

    /// RFC 1928, and RFC 1929 where a password is asked for.
    fn version5(&self) -> Result<Option<(usize, usize)>, Refused> {
        let (mut client, mut proxy) = (2 + self.client.get(1).map_or(0, |&count| usize::from(count)), 2);
        match self.proxy.get(1) {
            None => return Ok(None),
            Some(0) => {}
            Some(2) => {
                let Some(&user) = self.client.get(client + 1) else { return Ok(None) };
                let Some(&password) = self.client.get(client + 2 + usize::from(user)) else { return Ok(None) };
                client += 3 + usize::from(user) + usize::from(password);
                proxy += 2;
            }
            Some(_) => return Err(Refused),
        }
        let (Some(request), Some(reply)) = (message5(&self.client, client), message5(&self.proxy, proxy)) else {
            return Ok(None);
        };
        let whole = client + request <= self.client.len() && proxy + reply <= self.proxy.len();
        Ok(whole.then_some((client + request, proxy + reply)))
    }
}

/// The handshake can't be followed.
struct Refused;

/// Length of a SOCKS 5 request or reply at `at`: four bytes, an address by its type, a port.
fn message5(bytes: &[u8], at: usize) -> Option<usize> {
    let address = match bytes.get(at + 3)? {
        1 => 4,
        4 => 16,
        _ => 1 + usize::from(*bytes.get(at + 4)?),
    };
    Some(4 + address + 2)
}

#[cfg(test)]
mod tests {
    use super::{Handshake, Probe, Progress, probe};
    use crate::model::Direction::{self, ToClient, ToServer};
    use proptest::prelude::*;

    fn run(steps: &[(Direction, &[u8])]) -> Progress {
        let mut handshake = Handshake::default();
        let mut progress = Progress::More;
        for (direction, bytes) in steps {
            progress = handshake.feed(*direction, bytes);
        }
        progress
    }

    fn done(to_server: &[u8], to_client: &[u8]) -> Progress {
        Progress::Done { to_server: to_server.to_vec(), to_client: to_client.to_vec() }
    }

    #[test]
    fn version_5_without_and_with_a_password() {
        let request = b"\x05\x01\x00\x03\x09a.example\x01\xbbGET";
        let reply = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";
        assert_eq!(
            run(&[(ToServer, b"\x05\x01\x00"), (ToClient, b"\x05\x00"), (ToServer, request), (ToClient, reply)]),
            done(b"GET", b"")
        );
        let login = b"\x01\x04user\x04pass";
        let steps: [(Direction, &[u8]); 6] = [
            (ToServer, b"\x05\x02\x00\x02"),
            (ToClient, b"\x05\x02"),
            (ToServer, login),
            (ToClient, b"\x01\x00"),
            (ToServer, request),
            (ToClient, reply),
        ];
        assert_eq!(run(&steps), done(b"GET", b""));
    }

    #[test]
    fn version_4_and_4a() {
        let reply = b"\x00\x5a\x00\x00\x00\x00\x00\x00HTTP";
        assert_eq!(
            run(&[(ToServer, b"\x04\x01\x00\x50\x01\x02\x03\x04me\x00GET"), (ToClient, reply)]),
            done(b"GET", b"HTTP")
        );
        let by_name = b"\x04\x01\x00\x50\x00\x00\x00\x01\x00a.example\x00GET";
        assert_eq!(run(&[(ToServer, by_name), (ToClient, reply)]), done(b"GET", b"HTTP"));
    }

    #[test]
    fn only_a_greeting_is_probed_as_one() {
        assert_eq!(probe(ToServer, b"\x05\x01\x00"), Probe::Yes);
        assert_eq!(probe(ToServer, b"\x05\x02\x00"), Probe::Unsure);
        assert_eq!(probe(ToServer, b"\x05\x01\x77"), Probe::No);
        assert_eq!(probe(ToServer, b"\x05\x01\x00more"), Probe::No);
        assert_eq!(probe(ToClient, b"\x05\x01\x00"), Probe::No);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(pieces in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..20)), 0..20)) {
            let mut handshake = Handshake::default();
            for (up, bytes) in pieces {
                let direction = if up { ToServer } else { ToClient };
                if handshake.feed(direction, &bytes) != Progress::More {
                    break;
                }
            }
            prop_assert!(handshake.held() <= 400);
        }
    }
}
