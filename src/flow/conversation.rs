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

    /// `direction` sent a reset (RFC 9293 §3.5.2). True where all that came before it has been handed on; else it ends
    /// its direction once that is so, as a FIN would.
    pub fn reset(&mut self, direction: Direction, seq: u32) -> bool {
        let is_last = self.streams[direction.index()].end_at(seq);
        is_last && self.pending() == 0
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

#[cfg(test)]
mod tests {
    use super::Conversation;
    use crate::flow::{Delivery, Segment};
    use crate::model::{Direction, Timestamp};
    use proptest::prelude::*;

    /// A segment of `ToServer` (`>`) or `ToClient` (`<`), `ms` milliseconds after the first.
    type Sent<'a> = (char, u32, Option<u32>, &'a [u8], i64);

    const SYN: u32 = u32::MAX;

    /// Runs segments, of which those with nothing but [`SYN`] as acknowledgement open a direction, and writes what is
    /// handed on: bytes behind their direction, a gap as `[n]`.
    fn run(segments: &[Sent<'_>], flush: bool) -> String {
        let mut out = String::new();
        let mut conversation = Conversation::default();
        let mut sink = |direction: Direction, delivery: Delivery<'_>| {
            out.push(if direction == Direction::ToServer { '>' } else { '<' });
            match delivery {
                Delivery::Bytes { bytes, gap, .. } => {
                    if gap > 0 {
                        out.push_str(&format!("[{gap}]"));
                    }
                    out.push_str(&String::from_utf8_lossy(bytes));
                }
                Delivery::End { .. } => out.push('$'),
            }
        };
        for &(way, seq, ack, payload, ms) in segments {
            let direction = if way == '>' { Direction::ToServer } else { Direction::ToClient };
            let (syn, ack) = (ack == Some(SYN), ack.filter(|&ack| ack != SYN));
            let ts = Timestamp::from_nanos(ms * 1_000_000);
            let segment = Segment { seq, syn, fin: false, payload, missing: 0, ts };
            assert!(conversation.segment(direction, &segment, ack, &mut sink));
        }
        if flush {
            conversation.flush(&mut sink);
            assert_eq!(conversation.pending(), 0);
        }
        out
    }

    const OPEN: [Sent<'_>; 2] = [('>', 99, Some(SYN), b"", 0), ('<', 499, Some(SYN), b"", 0)];

    fn opened<'a>(rest: &[Sent<'a>]) -> Vec<Sent<'a>> {
        OPEN.iter().chain(rest).copied().collect()
    }

    #[test]
    fn an_answer_waits_for_what_it_acknowledges() {
        let answer = ('<', 500, Some(103), &b"yes"[..], 1);
        let question = ('>', 100, Some(500), &b"ask"[..], 2);
        assert_eq!(run(&opened(&[answer]), false), "");
        assert_eq!(run(&opened(&[answer, question]), false), ">ask<yes");
        assert_eq!(run(&opened(&[answer]), true), "<yes");
    }

    #[test]
    fn what_never_comes_is_waited_for_so_many_packets_or_so_long() {
        let answers: Vec<Sent<'_>> = (0..40).map(|n| ('<', 500 + n, Some(103), &b"y"[..], 1)).collect();
        assert!(run(&opened(&answers), false).ends_with("<y<y<y"));
        assert_eq!(run(&opened(&[answers[0], ('<', 501, Some(103), b"z", 900)]), false), "<y<z");
        // From then on nothing waits for it, until it shows again.
        let late = ('>', 100, Some(500), &b"ask"[..], 901);
        let read = run(
            &opened(&[answers[0], ('<', 501, Some(103), b"z", 900), ('<', 502, Some(110), b"!", 901), late]),
            false,
        );
        assert_eq!(read, "<y<z<!>ask");
    }

    #[test]
    fn a_direction_seen_from_its_middle_begins_where_the_other_side_says() {
        let (first, second) = (('>', 100, Some(500), &b"ab"[..], 1), ('>', 102, Some(500), &b"cd"[..], 0));
        assert_eq!(run(&[second, first], false), "");
        assert_eq!(run(&[second, first, ('<', 500, Some(104), b"", 2)], false), ">ab>cd");
        assert_eq!(run(&[second, ('<', 500, Some(100), b"", 2), first], false), ">ab>cd");
        assert_eq!(run(&[('<', 500, Some(102), b"", 0), second], false), ">cd");
        assert_eq!(run(&[second, first], true), ">ab>cd");
        assert_eq!(run(&[second, first, ('>', 104, Some(500), b"ef", 500)], false), ">ab>cd>ef");
    }

    #[test]
    fn directions_that_wait_for_each_other_are_let_go() {
        let read = run(&opened(&[('>', 100, Some(503), b"abc", 0), ('<', 500, Some(103), b"xyz", 0)]), true);
        assert!(read == ">abc<xyz" || read == "<xyz>abc", "{read}");
    }

    proptest! {
        #[test]
        fn every_byte_that_fits_is_handed_on_once(
            segments in proptest::collection::vec((any::<bool>(), 0u32..300, proptest::option::of(0u32..400), 0usize..20, any::<bool>(), 0u16..40), 0..80)
        ) {
            let mut conversation = Conversation::default();
            let mut handed = [0usize; 2];
            let mut sent = [[false; 400]; 2];
            let mut sink = |direction: Direction, delivery: Delivery<'_>| {
                if let Delivery::Bytes { bytes, .. } = delivery {
                    handed[direction.index()] += bytes.len();
                }
            };
            for &(way, seq, ack, len, fin, missing) in &segments {
                let direction = if way { Direction::ToServer } else { Direction::ToClient };
                let payload = vec![b'x'; len];
                let missing = if missing > 35 { u32::from(missing) } else { 0 };
                let segment = Segment { seq, syn: false, fin, payload: &payload, missing, ts: Timestamp::default() };
                conversation.segment(direction, &segment, ack, &mut sink);
                let seq = seq as usize;
                sent[direction.index()][seq..seq + len].fill(true);
            }
            conversation.flush(&mut sink);
            prop_assert_eq!(conversation.pending(), 0);
            for (handed, sent) in handed.iter().zip(&sent) {
                prop_assert!(*handed <= sent.iter().filter(|&&byte| byte).count());
            }
        }
    }
}
