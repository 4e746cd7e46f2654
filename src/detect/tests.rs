//! Tests of the detectors on single fields; whole exchanges are searched in `tests/identifiers.rs`.

use super::{Detector, Origin};
use crate::model::{
    Confidence, DataType, Document, ExchangeId, Field, FieldKind, FlowId, Identifier, Kinds, MatchKind, Observation,
    Part, Pointer, Profile, Side, Step, Timestamp, Visit,
};
use crate::rules::RuleSet;

fn identifier(data_type: &str, value: &str) -> Identifier {
    Identifier { data_type: DataType::new(data_type), label: data_type.into(), value: value.into() }
}

fn profile(values: &[(&str, &str)]) -> Profile {
    let identifiers = values.iter().map(|(data_type, value)| identifier(data_type, value)).collect();
    Profile { identifiers, ..Profile::default() }
}

fn look(detector: &Detector, leaves: &[(&str, &str)]) -> Vec<Observation> {
    let mut scan = detector.scan();
    for (index, (key, value)) in (1u32..).zip(leaves) {
        let bytes = value.as_bytes();
        scan.field(&Field {
            kind: FieldKind::Leaf,
            side: Side::Request,
            part: Part::Body,
            name: key.as_bytes(),
            pointer: Pointer::new(&[Step::Key(0, key.len())], key.as_bytes()),
            key: key.as_bytes(),
            value: bytes,
            kinds: Kinds::of(bytes),
            chain: &[],
            source: 0..bytes.len(),
            document: Document { id: index, bytes },
            within: 0..bytes.len(),
        });
    }
    let exchange = ExchangeId { flow: FlowId(1), index: 0 };
    let origin = Origin { exchange, ts: Timestamp::default(), host: "h.example".into(), cleartext: true };
    let mut weirds = Vec::new();
    let seen = scan.finish(&origin, &mut weirds);
    assert!(weirds.is_empty());
    assert!(scan.finish(&origin, &mut weirds).is_empty(), "nothing is left over for the next exchange");
    seen
}

fn chain(observation: &Observation) -> String {
    observation.chain.iter().map(|step| step.0).collect::<Vec<_>>().join(">")
}

#[test]
fn a_known_value_is_found_with_its_label_and_proof() {
    let rules = RuleSet::default();
    let detector = Detector::new(&profile(&[("imei", "861536030196001")]), &rules);
    let seen = look(&detector, &[("did", "imei:86153603019600-x")]);
    let [only] = &seen[..] else { panic!("{seen:#?}") };
    assert_eq!(
        (only.value.as_str(), only.matched, only.confidence),
        ("861536030196001", MatchKind::Known, Confidence::Certain)
    );
    assert_eq!((&*only.location.pointer, &*only.location.name, chain(only).as_str()), ("$.did", "did", ""));
    assert_eq!(
        (only.excerpt.before.as_str(), only.excerpt.matched.as_str(), only.excerpt.after.as_str()),
        ("imei:", "86153603019600", "-x")
    );
    assert_eq!((&*only.host, only.cleartext, only.identifier.as_deref()), ("h.example", true, Some("imei")));
}
