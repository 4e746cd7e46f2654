//! The state of one walk through an exchange: where it is, what was undone so far, and the caps. Decoders hand it
//! documents and leaves; it shows them to the visitor and asks the decoders about each in turn.

use super::shape::Input;
use super::stream::embedded;
use super::{DECODED_MAX, DECODERS, DEPTH_MAX, Decoder, FIELDS_MAX, INFLATED_FREE, POINTER_MAX, Probe, RATIO_MAX};
use crate::model::{Decoding, Document, Field, FieldKind, FlowId, Layer, Part, Side, Weird};
use std::fmt::Write;
use std::ops::Range;

/// Shortest value worth asking the decoders about.
const OPEN_MIN: usize = 8;

/// Decoded bytes with their identity, and their place in the undecoded part if nothing but cutting was done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doc<'a> {
    pub(super) id: u32,
    pub(super) bytes: &'a [u8],
    base: Option<usize>,
}

/// A place to go back to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mark {
    pointer: usize,
    keys: usize,
    key: (usize, usize),
}

/// One walk.
pub(super) struct Walker<'v> {
    visit: &'v mut dyn FnMut(&Field<'_>),
    weirds: &'v mut Vec<Weird>,
    flow: Option<FlowId>,
    side: Side,
    part: Part,
    name: String,
    pointer: String,
    keys: String,
    key: (usize, usize),
    chain: Vec<Decoding>,
    source: Range<usize>,
    documents: u32,
    fields: usize,
    decoded: usize,
    reported: Vec<&'static str>,
}

impl<'v> Walker<'v> {
    pub(super) fn new(
        side: Side,
        flow: Option<FlowId>,
        visit: &'v mut dyn FnMut(&Field<'_>),
        weirds: &'v mut Vec<Weird>,
    ) -> Self {
        Self {
            visit,
            weirds,
            flow,
            side,
            part: Part::Body,
            name: String::new(),
            pointer: String::new(),
            keys: String::new(),
            key: (0, 0),
            chain: Vec::new(),
            source: 0..0,
            documents: 0,
            fields: 0,
            decoded: 0,
            reported: Vec::new(),
        }
    }

    /// Begins a part, or a named piece of one; `bytes` stand at `base` in the undecoded part.
    pub(super) fn enter<'a>(&mut self, part: Part, name: &str, bytes: &'a [u8], base: usize) -> Doc<'a> {
        self.part = part;
        self.name.clear();
        self.name.push_str(name);
        self.pointer.clear();
        self.keys.clear();
        self.key = (0, 0);
        self.chain.clear();
        self.source = base..base + bytes.len();
        self.document(bytes, Some(base))
    }

    fn document<'a>(&mut self, bytes: &'a [u8], base: Option<usize>) -> Doc<'a> {
        self.documents += 1;
        Doc { id: self.documents, bytes, base }
    }

    /// Shows a document and asks the decoders about it.
    pub(super) fn whole(&mut self, doc: Doc<'_>, kind: FieldKind, content_type: Option<&str>) {
        if self.show(kind, doc, 0..doc.bytes.len(), doc.bytes) {
            self.open(doc, kind, content_type);
        }
    }

    /// Shows a document that is cut into leaves by the caller.
    pub(super) fn show_whole(&mut self, doc: Doc<'_>) {
        self.show(FieldKind::Whole, doc, 0..doc.bytes.len(), doc.bytes);
    }

    /// Goes on to another name of the same part.
    pub(super) fn rename(&mut self, name: &str) {
        self.name.clear();
        self.name.push_str(name);
    }

    /// Shows a body whose content encodings were undone.
    pub(super) fn content(&mut self, chain: Vec<Decoding>, bytes: &[u8], content_type: Option<&str>) {
        self.chain = chain;
        self.decoded += bytes.len();
        let doc = self.document(bytes, None);
        self.whole(doc, FieldKind::Whole, content_type);
    }

    /// Shows what one decoding produced and asks the decoders about it.
    pub(super) fn decoded(&mut self, bytes: &[u8], kind: FieldKind) {
        self.decoded_as(bytes, kind, None);
    }

    /// As [`Self::decoded`], for bytes whose content type is known.
    pub(super) fn decoded_as(&mut self, bytes: &[u8], kind: FieldKind, content_type: Option<&str>) {
        self.decoded += bytes.len();
        if self.decoded > DECODED_MAX {
            self.weird("decoded data over the cap left unread");
            return;
        }
        let doc = self.document(bytes, None);
        self.whole(doc, kind, content_type);
    }

    /// Shows a piece of `doc` that is a document of its own.
    pub(super) fn piece(&mut self, doc: Doc<'_>, within: Range<usize>, content_type: Option<&str>) {
        let outer = self.locate(doc, &within);
        let base = doc.base.map(|base| base + within.start);
        let inner = self.document(&doc.bytes[within], base);
        self.whole(inner, FieldKind::Whole, content_type);
        self.source = outer;
    }

    /// Shows a leaf that stands at `within` in `doc`, and asks the decoders about it.
    pub(super) fn leaf(&mut self, doc: Doc<'_>, within: Range<usize>, value: &[u8], content_type: Option<&str>) {
        let outer = self.locate(doc, &within);
        let verbatim = within.len() == value.len();
        let base = doc.base.filter(|_| verbatim).map(|base| base + within.start);
        if self.show(FieldKind::Leaf, doc, within, value) && value.len() >= OPEN_MIN {
            let inner = self.document(value, base);
            self.open(inner, FieldKind::Leaf, content_type);
        }
        self.source = outer;
    }

    /// Shows a leaf that can't hold anything else.
    pub(super) fn scalar(&mut self, doc: Doc<'_>, within: Range<usize>) {
        let outer = self.locate(doc, &within);
        let value = &doc.bytes[within.clone()];
        self.show(FieldKind::Leaf, doc, within, value);
        self.source = outer;
    }

    /// Shows a number that stands in binary at `within` in `doc`.
    pub(super) fn number(&mut self, doc: Doc<'_>, within: Range<usize>, text: &str) {
        let outer = self.locate(doc, &within);
        self.show(FieldKind::Leaf, doc, within, text.as_bytes());
        self.source = outer;
    }

    /// Narrows the source to a part of `doc` if that can be told; gives back the wider one.
    fn locate(&mut self, doc: Doc<'_>, within: &Range<usize>) -> Range<usize> {
        let outer = self.source.clone();
        if let Some(base) = doc.base {
            self.source = base + within.start..base + within.end;
        }
        outer
    }

    /// Runs `inside` with one more step in the chain, unless that is too deep.
    pub(super) fn step(&mut self, name: &'static str, inside: impl FnOnce(&mut Self)) {
        if self.chain.len() >= DEPTH_MAX {
            self.weird("encodings nested too deeply left unread");
            return;
        }
        self.chain.push(Decoding(name));
        inside(self);
        self.chain.pop();
    }

    /// Whether the cap on fields is reached, which is then reported.
    pub(super) fn full(&mut self) -> bool {
        let full = self.fields >= FIELDS_MAX;
        if full {
            self.weird("fields over the cap left unread");
        }
        full
    }

    /// Most bytes that decompressing `input` bytes may give.
    pub(super) fn room(&self, input: usize) -> usize {
        let ratio = input.saturating_mul(RATIO_MAX).max(INFLATED_FREE);
        ratio.min(DECODED_MAX.saturating_sub(self.decoded))
    }

    /// Where the walk is.
    pub(super) fn mark(&self) -> Mark {
        Mark { pointer: self.pointer.len(), keys: self.keys.len(), key: self.key }
    }

    /// Goes back to a mark.
    pub(super) fn reset(&mut self, mark: Mark) {
        self.pointer.truncate(mark.pointer);
        self.keys.truncate(mark.keys);
        self.key = mark.key;
    }

    /// Goes into a named member.
    pub(super) fn push_key(&mut self, key: &str) {
        let start = self.keys.len();
        self.keys.push_str(key);
        self.key = (start, self.keys.len());
        if self.pointer.len() + key.len() > POINTER_MAX {
            return;
        }
        self.root();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$') || byte >= 0x80;
        if !key.is_empty() && key.bytes().all(plain) {
            self.pointer.push('.');
            self.pointer.push_str(key);
        } else {
            self.pointer.push_str("[\"");
            for character in key.chars() {
                if matches!(character, '"' | '\\') {
                    self.pointer.push('\\');
                }
                self.pointer.push(character);
            }
            self.pointer.push_str("\"]");
        }
    }

    /// Goes into a member that has a number, which is no name.
    pub(super) fn push_number(&mut self, number: u32) {
        let end = self.keys.len();
        self.key = (end, end);
        if self.pointer.len() <= POINTER_MAX {
            self.root();
            write!(self.pointer, ".{number}").expect("a String takes any text");
        }
    }

    /// Goes into an element.
    pub(super) fn push_index(&mut self, index: usize) {
        if self.pointer.len() <= POINTER_MAX {
            self.root();
            write!(self.pointer, "[{index}]").expect("a String takes any text");
        }
    }

    fn root(&mut self) {
        if self.pointer.is_empty() {
            self.pointer.push('$');
        }
    }

    /// Reports something once a walk.
    pub(super) fn weird(&mut self, reason: &'static str) {
        if !self.reported.contains(&reason) {
            self.reported.push(reason);
            self.weirds.push(Weird { layer: Layer::Decode, flow: self.flow, reason });
        }
    }

    fn show(&mut self, kind: FieldKind, doc: Doc<'_>, within: Range<usize>, value: &[u8]) -> bool {
        if self.full() {
            return false;
        }
        self.fields += 1;
        let inner = &self.keys[self.key.0..self.key.1];
        let name = if matches!(self.part, Part::Body | Part::Stream) { inner } else { &self.name };
        (self.visit)(&Field {
            kind,
            side: self.side,
            part: self.part,
            name,
            pointer: &self.pointer,
            key: if inner.is_empty() { &self.name } else { inner },
            value,
            chain: &self.chain,
            source: self.source.clone(),
            document: Document { id: doc.id, bytes: doc.bytes },
            within,
        });
        true
    }

    fn open(&mut self, doc: Doc<'_>, kind: FieldKind, content_type: Option<&str>) {
        let before = self.fields;
        if doc.bytes.len() >= OPEN_MIN {
            self.ask(doc, kind, content_type);
        }
        // A text that nothing could be cut from is a leaf of its own.
        if kind == FieldKind::Whole && self.fields == before {
            self.show(FieldKind::Leaf, doc, 0..doc.bytes.len(), doc.bytes);
            // What stands behind a framing nobody knows is cut from it all the same.
            for range in embedded(doc.bytes) {
                self.leaf(doc, range.clone(), &doc.bytes[range], None);
            }
        }
    }

    fn ask(&mut self, doc: Doc<'_>, kind: FieldKind, content_type: Option<&str>) {
        let input = Input::new(doc, kind, content_type);
        if !input.promising() {
            return;
        }
        if content_type.is_some()
            && let Some(decoder) = DECODERS.iter().find(|decoder| decoder.is_announced(&input))
        {
            return decoder.decode(&input, self);
        }
        let mut unsure: [Option<&dyn Decoder>; DECODERS.len()] = [None; DECODERS.len()];
        let mut count = 0;
        for &decoder in DECODERS {
            match decoder.probe(&input) {
                Probe::Certain => return decoder.decode(&input, self),
                Probe::Unsure => {
                    unsure[count] = Some(decoder);
                    count += 1;
                }
                Probe::No => {}
            }
        }
        for decoder in unsure.into_iter().flatten() {
            decoder.decode(&input, self);
        }
    }
}
