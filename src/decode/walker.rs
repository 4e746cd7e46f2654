//! The state of one walk through an exchange: where it is, what was undone so far, and the caps. Decoders hand it
//! documents and leaves; it shows them to the visitor and asks the decoders about each in turn.

use super::shape::Input;
use super::stream::embedded;
use super::{
    DECODED_MAX, DECODERS, DEPTH_MAX, Decoder, FIELDS_MAX, INFLATED_FREE, POINTER_MAX, Probe, RATIO_MAX, WORDS,
};
use crate::model::{
    Decoding, Document, Field, FieldKind, FlowId, Glance, Kinds, Layer, Part, Pointer, Side, Step, Visit, Weird,
    text_of,
};
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
    steps: u32,
    /// Bytes of the pointer as text.
    length: u32,
    /// Bytes of all names on the way,
    keys: u32,
    /// the last of which begins here.
    key: u32,
}

/// One walk.
pub(super) struct Walker<'v> {
    visit: &'v mut dyn Visit,
    weirds: &'v mut Vec<Weird>,
    flow: Option<FlowId>,
    side: Side,
    part: Part,
    name: Vec<u8>,
    steps: Vec<Step>,
    keys: Vec<u8>,
    at: Mark,
    chain: Vec<Decoding>,
    source: Range<usize>,
    documents: u32,
    fields: usize,
    decoded: usize,
    /// Counts what came of asking decoders.
    effects: usize,
    reported: Vec<&'static str>,
}

impl<'v> Walker<'v> {
    pub(super) fn new(side: Side, flow: Option<FlowId>, visit: &'v mut dyn Visit, weirds: &'v mut Vec<Weird>) -> Self {
        visit.begin();
        Self {
            visit,
            weirds,
            flow,
            side,
            part: Part::Body,
            name: Vec::new(),
            steps: Vec::new(),
            keys: Vec::new(),
            at: Mark::default(),
            chain: Vec::new(),
            source: 0..0,
            documents: 0,
            fields: 0,
            decoded: 0,
            effects: 0,
            reported: Vec::new(),
        }
    }

    /// Begins a part, or a named piece of one; `bytes` stand at `base` in the undecoded part.
    pub(super) fn enter<'a>(&mut self, part: Part, name: &[u8], bytes: &'a [u8], base: usize) -> Doc<'a> {
        self.part = part;
        self.rename(name);
        self.reset(Mark::default());
        self.chain.clear();
        self.source = base..base + bytes.len();
        self.document(bytes, Some(base))
    }

    #[inline]
    fn document<'a>(&mut self, bytes: &'a [u8], base: Option<usize>) -> Doc<'a> {
        self.documents += 1;
        self.effects += 1;
        Doc { id: self.documents, bytes, base }
    }

    /// Shows a document and asks the decoders about it.
    pub(super) fn whole(&mut self, doc: Doc<'_>, kind: FieldKind, content_type: Option<&str>) {
        match kind {
            FieldKind::Leaf => self.leaf(doc, 0..doc.bytes.len(), doc.bytes, content_type),
            FieldKind::Whole => {
                if self.show(kind, doc, 0..doc.bytes.len(), doc.bytes, Kinds::default()) {
                    self.open(doc, content_type);
                }
            }
        }
    }

    /// Shows a document that is cut into leaves by the caller.
    pub(super) fn show_whole(&mut self, doc: Doc<'_>) {
        self.show(FieldKind::Whole, doc, 0..doc.bytes.len(), doc.bytes, Kinds::default());
    }

    /// Goes on to another name of the same part.
    pub(super) fn rename(&mut self, name: &[u8]) {
        self.name.clear();
        self.name.extend_from_slice(name);
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
        if self.full() {
            return;
        }
        let inner = &self.keys[self.at.key as usize..];
        let key = if inner.is_empty() { &self.name } else { inner };
        if content_type.is_none() && self.visit.is_inert(key, value) {
            self.fields += 1;
            return;
        }
        let kinds = Kinds::of(value);
        let same = doc.bytes.get(within.clone()).is_some_and(|raw| std::ptr::eq(raw, value));
        let wanted = self.wants(doc, within.start, value, kinds, same);
        let opens = value.len() >= OPEN_MIN && {
            let input = Input::leaf(Doc { bytes: value, ..doc }, kinds, content_type);
            if input.shape.word() && content_type.is_none() { may_be_word(&input) } else { input.promising() }
        };
        if !wanted && !opens {
            self.fields += 1;
            self.note_inert(value);
            return;
        }
        let verbatim = within.len() == value.len();
        let base = doc.base.filter(|_| verbatim).map(|base| base + within.start);
        let outer = self.locate(doc, &within);
        if wanted {
            self.show(FieldKind::Leaf, doc, within, value, kinds);
        } else {
            self.fields += 1;
        }
        if opens {
            let inner = self.document(value, base);
            let before = (self.effects, self.fields);
            self.ask(&Input::leaf(inner, kinds, content_type));
            if !wanted && content_type.is_none() && before == (self.effects, self.fields) {
                self.note_inert(value);
            }
        }
        self.source = outer;
    }

    /// Notes that the leaf the walk is at holds nothing.
    fn note_inert(&mut self, value: &[u8]) {
        let inner = &self.keys[self.at.key as usize..];
        self.visit.note_inert(if inner.is_empty() { &self.name } else { inner }, value);
    }

    /// Shows a leaf that can't hold anything else.
    pub(super) fn scalar(&mut self, doc: Doc<'_>, within: Range<usize>) {
        if self.full() {
            return;
        }
        let value = &doc.bytes[within.clone()];
        let kinds = Kinds::of(value);
        if !self.wants(doc, within.start, value, kinds, true) {
            self.fields += 1;
            return;
        }
        let outer = self.locate(doc, &within);
        self.show(FieldKind::Leaf, doc, within, value, kinds);
        self.source = outer;
    }

    /// Shows a number that stands in binary at `within` in `doc`.
    pub(super) fn number(&mut self, doc: Doc<'_>, within: Range<usize>, value: &[u8]) {
        if self.full() {
            return;
        }
        let kinds = Kinds::of(value);
        if !self.wants(doc, within.start, value, kinds, false) {
            self.fields += 1;
            return;
        }
        let outer = self.locate(doc, &within);
        self.show(FieldKind::Leaf, doc, within, value, kinds);
        self.source = outer;
    }

    #[inline]
    fn wants(&mut self, doc: Doc<'_>, start: usize, value: &[u8], kinds: Kinds, verbatim: bool) -> bool {
        let inner = &self.keys[self.at.key as usize..];
        let key = if inner.is_empty() { &self.name } else { inner };
        self.visit.wants(&Glance { key, value, kinds, document: doc.id, start, verbatim })
    }

    /// Narrows the source to a part of `doc` if that can be told; gives back the wider one.
    #[inline]
    fn locate(&mut self, doc: Doc<'_>, within: &Range<usize>) -> Range<usize> {
        let outer = self.source.clone();
        if let Some(base) = doc.base {
            self.source = base + within.start..base + within.end;
        }
        outer
    }

    /// Runs `inside` with one more step in the chain, unless that is too deep.
    pub(super) fn step(&mut self, name: &'static str, inside: impl FnOnce(&mut Self)) {
        self.effects += 1;
        if self.chain.len() >= DEPTH_MAX {
            self.weird("encodings nested too deeply left unread");
            return;
        }
        self.chain.push(Decoding(name));
        inside(self);
        self.chain.pop();
    }

    /// Whether the cap on fields is reached, which is then reported.
    #[inline]
    pub(super) fn full(&mut self) -> bool {
        let full = self.fields >= FIELDS_MAX;
        if full {
            self.weird("fields over the cap left unread");
        }
        full
    }

    /// Most bytes that decompressing `input` bytes may give.
    pub(super) fn room(&mut self, input: usize) -> usize {
        self.effects += 1;
        let ratio = input.saturating_mul(RATIO_MAX).max(INFLATED_FREE);
        ratio.min(DECODED_MAX.saturating_sub(self.decoded))
    }

    /// Where the walk is.
    #[inline]
    pub(super) fn mark(&self) -> Mark {
        self.at
    }

    /// Goes back to a mark.
    #[inline]
    pub(super) fn reset(&mut self, mark: Mark) {
        self.steps.truncate(mark.steps as usize);
        self.keys.truncate(mark.keys as usize);
        self.at = mark;
    }

    /// Goes into a named member.
    #[inline]
    pub(super) fn push_key<K: AsRef<[u8]> + ?Sized>(&mut self, key: &K) {
        let key = key.as_ref();
        // Names on the way are kept up to a length no way may have.
        let start = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.keys.extend_from_slice(key);
        let end = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.at.keys = end;
        self.at.key = start;
        let (text, written) = lengths(key);
        if self.at.length as usize + text <= POINTER_MAX {
            self.push(Step::Key(start as usize, end as usize), written);
        }
    }

    /// Goes into a member that has a number, which is no name.
    pub(super) fn push_number(&mut self, number: u32) {
        self.at.key = self.at.keys;
        if self.at.length as usize <= POINTER_MAX {
            self.push(Step::Number(number), digits(number as usize) + 1);
        }
    }

    /// Goes into an element.
    #[inline]
    pub(super) fn push_index(&mut self, index: usize) {
        if self.at.length as usize <= POINTER_MAX {
            self.push(Step::Index(index), digits(index) + 2);
        }
    }

    #[inline]
    fn push(&mut self, step: Step, written: usize) {
        let root = u32::from(self.at.steps == 0);
        self.steps.push(step);
        self.at.steps += 1;
        // Both are bounded by the longest pointer.
        self.at.length += root + u32::try_from(written).unwrap_or(u32::MAX / 2);
    }

    /// Reports something once a walk.
    #[cold]
    pub(super) fn weird(&mut self, reason: &'static str) {
        self.effects += 1;
        if !self.reported.contains(&reason) {
            self.reported.push(reason);
            self.weirds.push(Weird { layer: Layer::Decode, flow: self.flow, reason });
        }
    }

    fn show(&mut self, kind: FieldKind, doc: Doc<'_>, within: Range<usize>, value: &[u8], kinds: Kinds) -> bool {
        if self.full() {
            return false;
        }
        self.fields += 1;
        let inner = &self.keys[self.at.key as usize..];
        let name = if matches!(self.part, Part::Body | Part::Stream) { inner } else { &self.name };
        self.visit.field(&Field {
            kind,
            side: self.side,
            part: self.part,
            name,
            pointer: Pointer::new(&self.steps, &self.keys),
            key: if inner.is_empty() { &self.name } else { inner },
            value,
            kinds,
            chain: &self.chain,
            source: self.source.clone(),
            document: Document { id: doc.id, bytes: doc.bytes },
            within,
        });
        true
    }

    fn open(&mut self, doc: Doc<'_>, content_type: Option<&str>) {
        let before = self.fields;
        if doc.bytes.len() >= OPEN_MIN {
            let input = Input::new(doc, FieldKind::Whole, content_type);
            if input.promising() {
                self.ask(&input);
            }
        }
        // A text that nothing could be cut from is a leaf of its own.
        if self.fields == before {
            self.show(FieldKind::Leaf, doc, 0..doc.bytes.len(), doc.bytes, Kinds::of(doc.bytes));
            // What stands behind a framing nobody knows is cut from it all the same.
            for range in embedded(doc.bytes) {
                self.leaf(doc, range.clone(), &doc.bytes[range], None);
            }
        }
    }

    fn ask(&mut self, input: &Input<'_>) {
        if input.shape.word() && input.content_type.is_none() && input.kind == FieldKind::Leaf {
            for decoder in WORDS.iter().filter(|decoder| decoder.probe(input) != Probe::No) {
                decoder.decode(input, self);
            }
            return;
        }
        if input.content_type.is_some()
            && let Some(decoder) = DECODERS.iter().find(|decoder| decoder.is_announced(input))
        {
            return decoder.decode(input, self);
        }
        let mut unsure: [Option<&dyn Decoder>; DECODERS.len()] = [None; DECODERS.len()];
        let mut count = 0;
        for &decoder in DECODERS {
            match decoder.probe(input) {
                Probe::Certain => return decoder.decode(input, self),
                Probe::Unsure => {
                    unsure[count] = Some(decoder);
                    count += 1;
                }
                Probe::No => {}
            }
        }
        for decoder in unsure.into_iter().flatten() {
            decoder.decode(input, self);
        }
    }
}

/// Whether one word may be base64 or hexadecimal digits, from its first characters.
fn may_be_word(input: &Input<'_>) -> bool {
    // No length of base64 is one more than a multiple of four.
    (input.bytes().len() % 4 != 1 && super::base64::promising(input.bytes()))
        || (input.shape.hex() && super::hex::promising(input.bytes()))
}

/// Digits of a number as text.
fn digits(number: usize) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

/// 1 for bytes a name can't hold if it is to be shown as it is, byte for byte, after a dot.
static NAME: [u8; 256] = {
    let mut table = [1u8; 256];
    let mut byte = 0u8;
    while byte < 0x80 {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$') {
            table[byte as usize] = 0;
        }
        byte += 1;
    }
    table
};

/// Bytes of a name as text, and of the step into it as a pointer shows it.
fn lengths(name: &[u8]) -> (usize, usize) {
    let kinds = name.iter().fold(0, |kinds, &byte| kinds | NAME[usize::from(byte)]);
    if kinds == 0 && !name.is_empty() {
        return (name.len(), name.len() + 1);
    }
    let plain = Pointer::is_plain(name);
    let text = text_of(name);
    let escapes = if plain { 0 } else { text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count() };
    (text.len(), text.len() + if plain { 1 } else { 4 + escapes })
}
