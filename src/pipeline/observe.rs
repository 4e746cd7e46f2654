//! Exchange → observations: decoding and detection put together. Only requests are searched: what a server sends to the
//! phone is no data flow to that server.

use super::unknown::Piece;
use crate::decode;
use crate::detect::{Detector, Origin, Scan};
use crate::model::{Exchange, Observation, Side, Weird};

/// Looks for personal data in exchanges.
pub(super) struct Observer {
    scan: Scan,
}

impl Observer {
    pub(super) fn new(detector: &Detector) -> Self {
        Self { scan: detector.scan() }
    }

    pub(super) fn observe(&mut self, exchange: &Exchange, weirds: &mut Vec<Weird>) -> Vec<Observation> {
        let scan = &mut self.scan;
        decode::fields(exchange, Side::Request, scan, weirds);
        scan.finish(&Origin::of(exchange), weirds)
    }

    pub(super) fn observe_piece(&mut self, piece: Piece, weirds: &mut Vec<Weird>) -> Vec<Observation> {
        let Piece { id, ts, host, cleartext, bytes } = piece;
        let scan = &mut self.scan;
        decode::stream_fields(id.flow, &bytes, Side::Request, scan, weirds);
        scan.finish(&Origin { exchange: id, ts, host, cleartext }, weirds)
    }
}
