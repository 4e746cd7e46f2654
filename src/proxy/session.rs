//! One TLS session of the relay (rustls, without its buffers): records in, plaintext and records out. It does no IO.

use super::buffers::Outgoing;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{CommonState, Error};

/// Our end of a TLS session.
pub(super) enum Session {
    /// Towards the phone.
    Server(Box<UnbufferedServerConnection>),
    /// Towards the origin.
    Client(Box<UnbufferedClientConnection>),
}

/// What came of records.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Absorbed {
    /// Bytes of the input that are done with; the others begin a record that is not whole yet.
    pub(super) used: usize,
    /// The peer said that it sends no more (`close_notify`).
    pub(super) closed: bool,
}

/// The loops are the same for both ends, but the types of rustls are not.
macro_rules! absorb {
    ($connection:expr, $input:expr, $plain:expr, $out:expr) => {{
        let mut absorbed = Absorbed::default();
        loop {
            let UnbufferedStatus { discard, state, .. } = $connection.process_tls_records(&mut $input[absorbed.used..]);
            let mut used = discard;
            let mut more = true;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        used += record.discard;
                        ($plain)(record.payload)?;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode($out, |room| data.encode(room))?;
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => absorbed.closed = true,
                Ok(_) => more = false,
                Err(error) => {
                    absorbed.used += used;
                    // The alert that tells the peer. What is left of the input has to stand where it stood.
                    while let UnbufferedStatus { state: Ok(ConnectionState::EncodeTlsData(mut data)), .. } =
                        $connection.process_tls_records(&mut $input[absorbed.used..])
                    {
                        encode($out, |room| data.encode(room))?;
                    }
                    return Err(error);
                }
            }
            absorbed.used += used;
            if !more {
                return Ok(absorbed);
            }
        }
    }};
}

macro_rules! with_traffic {
    ($connection:expr, $out:expr, |$traffic:ident, $room:ident| $write:expr) => {{
        loop {
            match $connection.process_tls_records(&mut []).state? {
                ConnectionState::WriteTraffic(mut $traffic) => return encrypt($out, |$room| $write),
                ConnectionState::EncodeTlsData(mut data) => encode($out, |room| data.encode(room))?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => {}
                _ => return Err(Error::HandshakeNotComplete),
            }
        }
    }};
}

impl Session {
    /// Takes records; hands plaintext to `plain` record by record, and appends to `out` what the session itself has to
    /// say (handshake, tickets, key updates, the alert of an error).
    pub(super) fn absorb(
        &mut self,
        input: &mut [u8],
        out: &mut Outgoing,
        plain: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<Absorbed, Error> {
        match self {
            Self::Server(connection) => absorb!(connection, input, plain, out),
            Self::Client(connection) => absorb!(connection, input, plain, out),
        }
    }

    /// Appends the records of `plain` to `out`.
    pub(super) fn encrypt(&mut self, plain: &[u8], out: &mut Outgoing) -> Result<(), Error> {
        match self {
            Self::Server(connection) => with_traffic!(connection, out, |traffic, room| traffic.encrypt(plain, room)),
            Self::Client(connection) => with_traffic!(connection, out, |traffic, room| traffic.encrypt(plain, room)),
        }
    }

    /// Appends `close_notify` to `out`.
    pub(super) fn close(&mut self, out: &mut Outgoing) -> Result<(), Error> {
        match self {
            Self::Server(connection) => {
                with_traffic!(connection, out, |traffic, room| traffic.queue_close_notify(room))
            }
            Self::Client(connection) => {
                with_traffic!(connection, out, |traffic, room| traffic.queue_close_notify(room))
            }
        }
    }

    /// What both ends have in common.
    pub(super) fn common(&self) -> &CommonState {
        match self {
            Self::Server(connection) => connection,
            Self::Client(connection) => connection,
        }
    }
}

fn encode(out: &mut Outgoing, mut write: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) -> Result<(), Error> {
    match write(out.room(1)) {
        Ok(len) => out.filled(len),
        Err(EncodeError::InsufficientSize(needed)) => match write(out.room(needed.required_size)) {
            Ok(len) => out.filled(len),
            Err(error) => return Err(Error::General(error.to_string())),
        },
        Err(error @ EncodeError::AlreadyEncoded) => return Err(Error::General(error.to_string())),
    }
    Ok(())
}

fn encrypt(out: &mut Outgoing, mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>) -> Result<(), Error> {
    match write(out.room(1)) {
        Ok(len) => out.filled(len),
        Err(EncryptError::InsufficientSize(needed)) => match write(out.room(needed.required_size)) {
            Ok(len) => out.filled(len),
            Err(error) => return Err(Error::General(error.to_string())),
        },
        Err(error @ EncryptError::EncryptExhausted) => return Err(Error::General(error.to_string())),
    }
    Ok(())
}
