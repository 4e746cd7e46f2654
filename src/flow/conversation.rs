//! Both directions of a TCP connection → their bytes, in an order that can have been. A segment says by its
//! acknowledgement what its sender had seen of the other direction, so it is handed on after that, also where the
//! capture shows the answer before the question. What was lost is waited for only so long.

use super::tcp::{Delivery, Obstacle, Segment, TcpStream};
use crate::model::{Direction, Timestamp};

/// Both directions.
#[derive(Default)]
pub struct Conversation {
    streams: [TcpStream; 2],
}

/// Takes what is handed on.
pub type Sink<'s> = &'s mut dyn FnMut(Direction, Delivery<'_>);

impl Conversation {
    /// Takes a segment with its acknowledgement number, and hands on what is in order now. False where it lies so far
    /// off that it can't belong here.
    pub fn segment(&mut self, direction: Direction, segment: &Segment<'_>, ack: Option<u32>, sink: Sink<'_>) -> bool {
        let other = direction.reversed();
        self.acknowledged(direction, ack, segment.ts);
        let reached = self.streams[other.index()].reached();
        let fits =
            self.streams[direction.index()].take(segment, ack, reached, &mut |delivery| sink(direction, delivery));
        self.drain(sink);
        while self.streams[direction.index()].is_over_cap() {
            self.give_up(direction);
            self.drain(sink);
        }
        fits
    }

    /// What `direction` says to have seen of the other.
    fn acknowledged(&mut self, direction: Direction, ack: Option<u32>, ts: Timestamp) {
        if let Some(ack) = ack {
            self.streams[direction.reversed().index()].note_ack(ack, ts);
        }
    }

    /// Whether all bytes of both directions up to FIN have been handed on.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.streams.iter().all(TcpStream::ended)
    }

    /// Bytes held back.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.streams.iter().map(TcpStream::pending).sum()
    }

    /// Hands on all that waits, with its gaps: no segment will fill them any more.
    pub fn flush(&mut self, sink: Sink<'_>) {
        self.drain(sink);
        // The side that waits only for bytes of its own goes first; what it gives may be all the other waits for.
        while let Some(direction) = self.first_to_go_on() {
            self.give_up(direction);
            self.drain(sink);
        }
    }

    /// The direction to give something up for; none where nothing waits.
    fn first_to_go_on(&self) -> Option<Direction> {
        let rank = |direction: Direction| match self.obstacle(direction) {
            Obstacle::None => None,
            Obstacle::Beginning => Some(0),
            Obstacle::Hole => Some(1),
            Obstacle::Other(_) => Some(2),
        };
        let ranked = [Direction::ToServer, Direction::ToClient].map(|direction| (rank(direction), direction));
        ranked
            .into_iter()
            .filter_map(|(rank, direction)| Some((rank?, direction)))
            .min()
            .map(|(_, direction)| direction)
    }

    fn obstacle(&self, direction: Direction) -> Obstacle {
        self.streams[direction.index()].obstacle(self.streams[direction.reversed().index()].reached())
    }

    /// Removes what the first bytes of a direction wait for.
    fn give_up(&mut self, direction: Direction) {
        match self.obstacle(direction) {
            Obstacle::Other(ack) => self.streams[direction.reversed().index()].give_up_until(ack),
            Obstacle::None | Obstacle::Beginning | Obstacle::Hole => self.streams[direction.index()].give_up(),
        }
    }

    /// Hands on what is in order, as long as that lets more be.
    fn drain(&mut self, sink: Sink<'_>) {
        let mut quiet = 0;
        let mut direction = Direction::ToServer;
        while quiet < 2 {
            let other = self.streams[direction.reversed().index()].reached();
            let any = self.streams[direction.index()].drain(other, &mut |delivery| sink(direction, delivery));
            quiet = if any { 1 } else { quiet + 1 };
            direction = direction.reversed();
        }
    }
}
