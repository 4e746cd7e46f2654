//! A phone's connection before it is relayed: what was read of it so far, and what the tap knows it as.

use super::buffers;
use super::pins::Who;
use super::tap::{Tap, TapFlow};
use crate::model::{Direction, IncidentKind};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Most bytes read of a client before it is known what it wants.
pub(super) const HELD_MAX: usize = 64 << 10;

/// A client.
pub(super) struct Client {
    pub(super) socket: TcpStream,
    /// Read and tapped, and not yet used.
    pub(super) held: Vec<u8>,
    pub(super) flow: Option<TapFlow>,
    pub(super) peer: SocketAddr,
    pub(super) who: Who,
    tap: Arc<Tap>,
}

impl Client {
    pub(super) fn new(socket: TcpStream, peer: SocketAddr, who: Who, tap: Arc<Tap>, flow: Option<TapFlow>) -> Self {
        Self { socket, held: Vec::new(), flow, peer, who, tap }
    }

    /// Reads more; false at the end of what the client sends.
    pub(super) async fn fill(&mut self) -> io::Result<bool> {
        if self.held.len() >= HELD_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more than 64 KiB without an end"));
        }
        let most = HELD_MAX - self.held.len();
        let held = &mut self.held;
        let read = buffers::read(&self.socket, most, |bytes| held.extend_from_slice(bytes)).await?;
        if let Some(flow) = &mut self.flow {
            if read == 0 {
                flow.end(Direction::ToServer);
            } else {
                flow.data(Direction::ToServer, &self.held[self.held.len() - read..]);
            }
        }
        Ok(read > 0)
    }

    /// Reads until so many bytes are held.
    pub(super) async fn need(&mut self, len: usize) -> io::Result<()> {
        while self.held.len() < len {
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Answers.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(flow) = &mut self.flow {
            flow.data(Direction::ToClient, bytes);
        }
        self.socket.write_all(bytes).await
    }

    /// Tells what befell this connection.
    pub(super) fn tell(&self, kind: IncidentKind, host: &str, text: String) {
        self.tap.incident(kind, host, self.flow.as_ref().map(TapFlow::addresses), text);
    }
}
