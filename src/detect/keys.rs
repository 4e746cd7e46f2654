//! Values under a telling key, if they pass the check the rules give with the key.

use super::checks::passes;
use super::scan::{State, hit_at};
use super::stop::Stops;
use super::{Detect, Setup, VALUE_MAX};
use crate::model::{Field, FieldKind, Glance, MatchKind, text_of};
use crate::rules::ValueCheck;
use std::sync::Arc;

struct Keys {
    stops: Arc<Stops>,
}

pub(super) fn build(setup: &mut Setup<'_>) -> Option<Box<dyn Detect>> {
    let any = setup.rules.identifiers().iter().any(|rule| !rule.keys.is_empty());
    any.then(|| Box::new(Keys { stops: Arc::clone(&setup.stops) }) as Box<dyn Detect>)
}

impl Detect for Keys {
    fn wants(&self, _leaf: &Glance<'_>, scan: &State) -> bool {
        scan.meaning().candidates.is_some()
    }

    fn digits(&self) -> [u64; 10] {
        [0; 10]
    }

    fn field(&self, field: &Field<'_>, scan: &mut State) {
        if field.kind == FieldKind::Whole || field.value.is_empty() || field.value.len() > VALUE_MAX {
            return;
        }
        let Some(candidates) = scan.meaning().candidates.clone() else { return };
        let text = text_of(field.value);
        let value = text.trim().trim_matches('"');
        // Latitude and longitude mean something together only.
        let alone = |check| !matches!(check, ValueCheck::Latitude | ValueCheck::Longitude);
        let Some(found) = candidates.iter().find(|found| alone(found.check) && passes(found.check, value)) else {
            return;
        };
        if self.stops.contains(&found.data_type, value) {
            return;
        }
        let mut hit = hit_at(field, 0..field.value.len(), &found.data_type, value.to_owned());
        hit.matched = MatchKind::Key;
        hit.confidence = found.confidence;
        scan.add(hit);
    }
}
