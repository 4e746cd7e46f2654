//! A statement while it is read, and who it speaks of: names of the text are matched to parties of the rules, and a
//! name the rules don't know becomes a party of its own.

use super::text::Text;
use super::vocabulary::Mention;
use crate::model::{Action, DataForm, DataType, DeclaredData, Polarity, Recipient, Role, StatementSource};
use crate::rules::{FIRST_PARTY, RuleSet, THIRD_PARTY};
use rustc_hash::FxHashSet;
use std::ops::Range;
use std::sync::Arc;

/// Longest purpose and condition kept, in characters.
const WORDS_MAX: usize = 120;
/// Most data mentions of one statement; what is beyond is left out and told as a defect.
pub(super) const DATA_MAX: usize = 2000;
/// Most parties one name of a table stands for.
const NAMES_MAX: usize = 16;

/// A statement as it is put together; ranges are bytes of the normalised text.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) clause: String,
    pub(super) range: Range<usize>,
    pub(super) action: Action,
    pub(super) polarity: Polarity,
    pub(super) recipient: Recipient,
    pub(super) data: Vec<DeclaredData>,
    pub(super) purpose: Option<String>,
    pub(super) condition: Option<String>,
    pub(super) form: Option<DataForm>,
    pub(super) source: StatementSource,
    /// Mentions already in `data`, by where they start.
    pub(super) seen: FxHashSet<usize>,
}

impl Draft {
    /// Adds a mention, one entry for each of its types.
    pub(super) fn add(&mut self, text: &Text<'_>, mention: &Mention, open_ended: bool) {
        if self.data.len() >= DATA_MAX || !self.seen.insert(mention.start) {
            return;
        }
        let span = text.span(text.raw_range(mention.start..mention.end));
        for data_type in mention.types.iter() {
            self.data.push(DeclaredData {
                data_type: data_type.clone(),
                text: text.raw_str(mention.start..mention.end).to_owned(),
                span,
                open_ended,
            });
        }
    }
}

impl Draft {
    /// Whether another draft of the same sentence says the same of other data.
    pub(super) fn says_like(&self, other: &Self) -> bool {
        self.range == other.range
            && self.action == other.action
            && self.polarity == other.polarity
            && self.recipient.id == other.recipient.id
            && self.form == other.form
    }

    /// Takes over the data of a draft that says the same.
    pub(super) fn merge(&mut self, other: Self) {
        let known: FxHashSet<(usize, DataType)> =
            self.data.iter().map(|data| (data.span.0, data.data_type.clone())).collect();
        self.data.extend(other.data.into_iter().filter(|data| !known.contains(&(data.span.0, data.data_type.clone()))));
        self.data.truncate(DATA_MAX);
        self.purpose = self.purpose.take().or(other.purpose);
        self.condition = self.condition.take().or(other.condition);
    }
}

/// The app itself.
pub(super) fn first_party() -> Recipient {
    Recipient { id: Arc::from(FIRST_PARTY), name: Arc::from("我们"), role: Role::FirstParty }
}

/// Some third party, by the words the text has for it.
pub(super) fn third_party(words: &str) -> Recipient {
    Recipient { id: Arc::from(THIRD_PARTY), name: Arc::from(words), role: Role::ThirdParty }
}

/// A party by the name a text gives it: the whole name, the name without its bracket, what the bracket holds.
pub(super) fn named(rules: &RuleSet, name: &str) -> Recipient {
    let shown = name_without_bracket(name);
    let bracket = name.find(['(', '（']).map(|at| name[at..].trim_matches(['(', ')', '（', '）']));
    let known = rules
        .party_by_alias(name)
        .or_else(|| rules.party_by_alias(shown))
        .or_else(|| bracket.and_then(|inner| rules.party_by_alias(inner)))
        .or_else(|| bracket.and_then(|inner| rules.party_by_package(inner)))
        .or_else(|| rules.party_by_package(shown.trim_end_matches("sdk").trim_end_matches("SDK").trim_end()));
    match known {
        Some(rule) => {
            let role = match rule.role() {
                Role::Unknown => Role::ThirdParty,
                role => role,
            };
            Recipient { id: Arc::clone(&rule.party.id), name: Arc::from(shown), role }
        }
        None => Recipient { id: Arc::from(slug(shown)), name: Arc::from(shown), role: Role::ThirdParty },
    }
}

/// The parties one name stands for: those of 华为推送、小米推送 and of 腾讯SDK(含TBS、Bugly等), else the one named.
pub(super) fn all_named(rules: &RuleSet, name: &str) -> Vec<Recipient> {
    let shown = name_without_bracket(name);
    let bracket = name[shown.len()..].trim().trim_matches(['(', ')', '（', '）']);
    let listed = ["含", "包括", "包含"].iter().find_map(|word| bracket.strip_prefix(word));
    let inner = listed.into_iter().flat_map(parts).filter(|part| is_party(rules, part)).map(|part| named(rules, part));
    let outer = parts(shown);
    let several = outer.len() > 1 && outer.iter().all(|part| is_party(rules, part) || is_sdk(part));
    let mut out: Vec<Recipient> =
        if several { outer.into_iter().map(|part| named(rules, part)).collect() } else { vec![named(rules, name)] };
    out.extend(inner);
    let mut seen = FxHashSet::default();
    out.retain(|recipient| seen.insert(Arc::clone(&recipient.id)));
    out.truncate(NAMES_MAX);
    out
}

fn parts(names: &str) -> Vec<&str> {
    let parts =
        names.split(['、', '/', '，', ',', '和', '及', '&', '+']).map(|part| part.trim().trim_end_matches('等'));
    parts.filter(|part| !part.is_empty()).collect()
}

fn is_party(rules: &RuleSet, part: &str) -> bool {
    part.chars().nth(1).is_some() && rules.party_by_alias(part).is_some()
}

/// Whether a name of its own ends with SDK: not the system of `Android/iOS SDK`.
fn is_sdk(part: &str) -> bool {
    let lower = part.to_lowercase();
    lower.strip_suffix("sdk").is_some_and(|head| !matches!(head.trim(), "" | "ios" | "android"))
}

/// `Bugly(com.tencent.bugly)` → `Bugly`.
pub(super) fn name_without_bracket(name: &str) -> &str {
    let cut = name.find(['(', '（']).filter(|at| *at > 0).unwrap_or(name.len());
    name[..cut].trim()
}

/// A name made an id: lower case, anything but letters and digits one `_`.
fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let base = lower.strip_suffix("sdk").map_or(lower.as_str(), str::trim_end);
    let base = if base.is_empty() { lower.as_str() } else { base };
    let mut out = String::new();
    for c in base.chars() {
        if c.is_alphanumeric() {
            out.push(c);
        } else if !out.ends_with('_') && !out.is_empty() {
            out.push('_');
        }
    }
    let out = out.trim_end_matches('_');
    if out.is_empty() { THIRD_PARTY.to_owned() } else { out.to_owned() }
}

/// Words of the text kept as purpose or condition; none where they are blank.
pub(super) fn words(raw: &str) -> Option<String> {
    let trimmed = raw.trim().trim_end_matches(['，', ',', '。', '；', ';', '：', ':', '、']).trim();
    let one_line = trimmed.split_whitespace().collect::<Vec<_>>().join(" ");
    (!one_line.is_empty()).then(|| one_line.chars().take(WORDS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::{all_named, named, slug};
    use crate::rules::RuleSet;

    #[test]
    fn a_name_may_stand_for_several() {
        let rules = RuleSet::builtin().unwrap();
        let ids = |name| all_named(&rules, name).iter().map(|party| party.id.to_string()).collect::<Vec<_>>();
        assert_eq!(ids("华为推送、小米推送SDK"), ["huawei_push", "xiaomi_push"]);
        assert_eq!(ids("腾讯SDK（含TBS、Bugly等）"), ["tencent", "tencent_x5", "bugly"]);
        assert_eq!(ids("天气宝SDK/小纸条SDK"), ["天气宝", "小纸条"]);
        assert_eq!(ids("天气和日历SDK"), ["天气和日历"]);
        assert_eq!(ids("Bugly(com.tencent.bugly)"), ["bugly"]);
    }

    #[test]
    fn unknown_names_become_parties_of_their_own() {
        assert_eq!(slug("me.leolin SDK"), "me_leolin");
        assert_eq!(slug("天气宝SDK"), "天气宝");
        let rules = RuleSet::default();
        let party = named(&rules, "天气宝SDK(com.tianqibao)");
        assert_eq!((&*party.id, &*party.name), ("天气宝", "天气宝SDK"));
    }
}
