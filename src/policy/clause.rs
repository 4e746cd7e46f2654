//! One clause of a sentence and the questions asked of it: is it a purpose or a condition, which verbs does it have,
//! who acts, who receives, is it denied.

use super::lexicon::{Cue, Lexicon};
use super::predicate::{Predicate, Verb};
use super::prose::{Prose, cues_in, data_in, parties_in, recipients};
use super::statement::third_party;
use super::text::Text;
use super::vocabulary::{CueMention, Mentions, PartyMention};
use crate::model::{Action, DataForm, Recipient};
use std::ops::Range;

/// A clause with what it mentions.
#[derive(Clone)]
pub(super) struct Clause<'p> {
    text: &'p Text<'p>,
    mentions: &'p Mentions,
    lexicon: &'static Lexicon,
    pub(super) range: Range<usize>,
    pub(super) cues: &'p [CueMention],
    /// Indices of its data mentions.
    pub(super) data: Range<usize>,
    parties: &'p [PartyMention],
}

/// Words that open a clause without changing its kind.
const OPENERS: [&str; 20] = [
    "尤其是",
    "特别是",
    "但是",
    "但",
    "并且",
    "且",
    "而且",
    "并",
    "同时",
    "此外",
    "另外",
    "其中",
    "因此",
    "那么",
    "目前",
    "或者",
    "除此之外",
    "除此以外",
    "请您注意",
    "请你注意",
];
/// What may stand between a user and the verb of using: 您使用, 您在使用.
const USER_MODALS: [&str; 14] =
    ["", "在", "选择", "需要", "正在", "想", "开始", "继续", "可以", "可", "首次", "所", "授权", "在选择"];
/// What follows a verb whose data went before it: …共享给X, …存储于X.
const OUTWARD: [&str; 7] = ["给", "至", "到", "于", "在", "与", "以"];
/// What verbs in front of 等 only name: 分享等功能.
const NAMED_BY_VERBS: [&str; 6] = ["功能", "服务", "指令", "操作", "场景", "目的"];
/// Longest words between 从 and the source it marks, in bytes: 从我们的关联公司.
const SOURCE_GAP_MAX: usize = 36;
/// Most verbs of one clause that are looked at.
const PREDICATES_MAX: usize = 64;
/// Longest way from a subject to its verb, in bytes.
const SUBJECT_GAP_MAX: usize = 60;

impl<'p> Clause<'p> {
    pub(super) fn new(prose: &Prose<'p>, range: Range<usize>) -> Self {
        Self {
            text: prose.text,
            mentions: prose.mentions,
            lexicon: prose.lexicon,
            cues: cues_in(prose.mentions, &range),
            data: data_in(prose.mentions, &range),
            parties: parties_in(prose.mentions, &range),
            range,
        }
    }

    fn part(&self, range: Range<usize>) -> Self {
        Self {
            cues: cues_in(self.mentions, &range),
            data: data_in(self.mentions, &range),
            parties: parties_in(self.mentions, &range),
            range,
            ..self.clone()
        }
    }

    fn norm(&self) -> &'p str {
        &self.text.norm[self.range.clone()]
    }

    /// Its words as the input has them.
    pub(super) fn raw(&self) -> &'p str {
        self.text.raw_str(self.range.clone())
    }

    /// Its words up to `at`.
    pub(super) fn raw_until(&self, at: usize) -> &'p str {
        self.text.raw_str(self.range.start..at)
    }

    /// Whether it has a cue.
    pub(super) fn has(&self, cue: Cue) -> bool {
        self.cues.iter().any(|found| found.cue == cue)
    }

    /// Whether it has a cue before `at`.
    pub(super) fn has_before(&self, cue: Cue, at: usize) -> bool {
        self.cues.iter().any(|found| found.cue == cue && found.end <= at)
    }

    /// The indices of data mentions in a part of it.
    pub(super) fn data_in(&self, range: Range<usize>) -> Range<usize> {
        data_in(self.mentions, &range)
    }

    fn opened(&self) -> &'p str {
        let mut body = self.norm();
        while let Some(rest) = OPENERS.iter().find_map(|opener| body.strip_prefix(opener)) {
            body = rest;
        }
        body
    }

    /// Whether it tells when, not what.
    pub(super) fn is_condition(&self) -> bool {
        let body = self.opened();
        let word = self.lexicon.condition.iter().find(|word| body.starts_with(word.as_str()));
        let needs_consent = word.is_some_and(|word| ["征得", "获得", "取得"].iter().any(|head| word.starts_with(head)));
        // 如 before a case is a condition, before data an example.
        let first_data = self.data.clone().next().map_or(usize::MAX, |at| self.mentions.data[at].start);
        let case = body.starts_with('如') && first_data > self.range.start + 9;
        let before = self.norm().trim_end_matches([',', ';', '。']).ends_with('前');
        // 我们如存在…: the app in front of the condition.
        let own = body
            .strip_prefix("我们")
            .is_some_and(|rest| ["如存在", "如果", "如需", "若", "一旦"].iter().any(|word| rest.starts_with(word)));
        own || before || case || word.is_some_and(|_| !needs_consent || self.has(Cue::Consent))
    }

    /// Whether it tells why.
    pub(super) fn is_purpose(&self) -> bool {
        let body = self.opened();
        let found = self.lexicon.purpose.iter().find(|word| body.starts_with(word.as_str()));
        found.is_some_and(|word| {
            !(word == "以" && (body.starts_with("以及") || body.starts_with("以上") || body.starts_with("以下")))
        })
    }

    /// Whether a condition isn't closed within the clause: 当你使用A、B,或者C时.
    pub(super) fn is_open_condition(&self) -> bool {
        let body = self.norm().trim_end_matches([',', ';', ':', '。']);
        let opens = ["当", "在您", "在你"].iter().any(|word| self.opened().starts_with(word));
        opens && !self.lexicon.condition_end.iter().any(|word| body.ends_with(word.as_str()))
    }

    /// The statement after a purpose or condition that no comma parts from it: 为此我们会…, 未经您许可…不会….
    pub(super) fn after_head(&self) -> Option<Self> {
        const MODALS: [&str; 12] =
            ["会", "将", "需", "可能", "仅会", "也会", "还会", "必须", "仅在", "不会", "均会", "要求"];
        let whole = self.norm().trim_end_matches([',', ';', '。', ':']);
        if whole.ends_with(['时', '的', '前', '外']) {
            return None;
        }
        let purpose = self.is_purpose();
        let from = self.cues.iter().find(|cue| {
            let before = &self.text.norm[self.range.start..cue.start];
            let rest = &self.text.norm[cue.end..self.range.end];
            let closed = purpose || self.lexicon.condition_end.iter().any(|word| before.ends_with(word.as_str()));
            let acts = match cue.cue {
                Cue::First => {
                    let modal = MODALS.iter().any(|modal| rest.starts_with(modal));
                    modal || self.text.norm[cue.start..cue.end].ends_with('会')
                }
                Cue::Negator => self.text.norm[cue.start..].starts_with("不会"),
                _ => false,
            };
            acts && closed && cue.start > self.range.start
        })?;
        Some(self.part(from.start..self.range.end))
    }

    /// The words of an exception.
    pub(super) fn exception(&self) -> Option<&'p str> {
        self.has(Cue::Exception).then(|| self.raw())
    }

    /// The words up to consent: 在获得你的同意后.
    pub(super) fn consent(&self) -> Option<&'p str> {
        let cue = self.cues.iter().find(|cue| cue.cue == Cue::Consent)?;
        let rest = &self.text.norm[cue.end..self.range.end];
        let after = ["之后", "后", "的情况下", "的前提下"].iter().find(|word| rest.starts_with(**word))?;
        Some(self.text.raw_str(self.range.start..cue.end + after.len()))
    }

    /// The form data is said to take.
    pub(super) fn form(&self) -> Option<DataForm> {
        self.cues.iter().find_map(|cue| match cue.cue {
            Cue::Hashed => Some(DataForm::Hashed),
            Cue::Encrypted => Some(DataForm::Encrypted),
            Cue::Anonymised => Some(DataForm::Anonymised),
            Cue::OnlyForm => Some(DataForm::Encrypted),
            _ => None,
        })
    }

    /// Brackets of the clause open at `at`.
    fn depth_at(&self, at: usize) -> u8 {
        self.text.depth(self.range.start, at)
    }

    /// Its verbs outside brackets, joined ones (收集、使用) as one.
    pub(super) fn predicates(&self) -> Vec<Predicate> {
        let mut out: Vec<Predicate> = Vec::new();
        for (at, cue) in self.cues.iter().enumerate().filter(|(_, cue)| self.depth_at(cue.start) == 0) {
            if out.len() == PREDICATES_MAX {
                break;
            }
            let verb = match cue.cue {
                Cue::Verb(action) => Verb::Actions(vec![action]),
                Cue::WeakVerb(action) => Verb::Weak(action),
                Cue::UserGives => Verb::UserGives,
                Cue::Gives => Verb::Gives,
                Cue::OnlyForm => Verb::Actions(vec![Action::Collect]),
                _ => continue,
            };
            let first = out.iter().all(|earlier| {
                earlier.verb == Verb::Actions(vec![Action::Use]) || matches!(earlier.verb, Verb::Weak(_))
            });
            if self.is_attribute(at, &verb, first) {
                continue;
            }
            if let Some(last) = out.last_mut() {
                let between = &self.text.norm[last.end..cue.start];
                let joined = matches!(
                    between,
                    "" | "、"
                        | "、不"
                        | "也不"
                        | "或不"
                        | "和"
                        | "并"
                        | "或"
                        | "及"
                        | "与"
                        | "以及"
                        | "或者"
                        | "/"
                        | "和/或"
                        | " and "
                        | " or "
                );
                if let (true, Verb::Actions(actions), Verb::Actions(more)) = (joined, &mut last.verb, &verb) {
                    for action in more {
                        if !actions.contains(action) {
                            actions.push(*action);
                        }
                    }
                    last.end = cue.end;
                    continue;
                }
                if joined && matches!(last.verb, Verb::Weak(_) | Verb::UserGives) && matches!(verb, Verb::Actions(_)) {
                    last.verb = verb;
                    last.end = cue.end;
                    continue;
                }
            }
            out.push(Predicate { verb, start: cue.start, end: cue.end });
        }
        out
    }

    /// Whether a verb only describes a noun (您所使用的设备, 授权共享的信息) or is the user's own doing (您使用服务).
    fn is_attribute(&self, at: usize, verb: &Verb, first: bool) -> bool {
        let cue = &self.cues[at];
        let rest = &self.text.norm[cue.end..self.range.end];
        // 实现跳转、分享等功能 names functions.
        let named =
            rest.strip_prefix('等').is_some_and(|rest| NAMED_BY_VERBS.iter().any(|noun| rest.starts_with(noun)));
        if named {
            return true;
        }
        // 可用于识别您身份的信息 names information by its use.
        let before = &self.text.norm[self.range.start..cue.start];
        if matches!(verb, Verb::Weak(_))
            && ["用于", "用来", "可以", "便于", "以便", "可"].iter().any(|word| before.ends_with(word))
        {
            return true;
        }
        let collects = matches!(verb, Verb::Actions(actions) if actions.contains(&Action::Collect));
        if rest.starts_with('的') && !(collects && first) {
            return true;
        }
        let uses = matches!(verb, Verb::Weak(_)) || matches!(verb, Verb::Actions(actions) if actions == &[Action::Use]);
        let before = self.cues[..at].iter().rev().take(2).find(|user| user.end <= cue.start);
        uses && before
            .is_some_and(|user| user.cue == Cue::User && USER_MODALS.contains(&&self.text.norm[user.end..cue.start]))
    }

    /// Whether nothing but a receiver or place follows a verb: …共享给X, …存储于X.
    pub(super) fn ends_outward(&self, predicate: &Predicate) -> bool {
        let rest = self.text.norm[predicate.end..self.range.end].trim_end_matches([',', ';', '。', ':', '.']);
        rest.chars().take(4).count() <= 3 || OUTWARD.iter().any(|word| rest.starts_with(word))
    }

    /// Whether someone who may act is named, the first one deciding: the app or the user.
    pub(super) fn first_actor(&self) -> Option<Cue> {
        self.cues.iter().find(|cue| self.is_actor(cue)).map(|cue| cue.cue)
    }

    /// Whether it starts with 包括 or 例如.
    pub(super) fn is_led(&self) -> bool {
        let body = self.norm();
        self.lexicon.includes.iter().chain(&self.lexicon.example).any(|word| body.starts_with(word.as_str()))
    }

    /// Whether the user acts before a verb.
    pub(super) fn user_before(&self, predicate: &Predicate) -> bool {
        self.cues.iter().any(|cue| cue.end <= predicate.start && cue.cue == Cue::User && self.is_actor(cue))
    }

    /// Whether it may go on with the list of the clause before: data comes soon and nobody acts before it.
    pub(super) fn goes_on(&self) -> bool {
        const LEAD_MAX: usize = 36;
        let Some(first) = self.data.clone().next().map(|at| self.mentions.data[at].start) else { return false };
        let led = self.is_led();
        // 你使用应用的频率: whose data it is, where nothing stands between.
        let acted = self.cues.iter().any(|cue| cue.end <= first && self.is_actor(cue) && cue.end != first);
        led || (first - self.range.start <= LEAD_MAX && !acted)
    }

    /// Whether data in brackets is meant though nothing outside them is: (如IMEI).
    pub(super) fn bracket_lists(&self, from: usize, first: usize) -> bool {
        let before = &self.text.norm[from..first];
        before.rfind('(').is_some_and(|at| {
            let inner = &before[at + 1..];
            self.lexicon.includes.iter().chain(&self.lexicon.example).any(|word| inner.starts_with(word.as_str()))
        })
    }

    /// Whether a mention stands in brackets.
    pub(super) fn in_brackets(&self, at: usize) -> bool {
        self.depth_at(at) > 0
    }

    /// Where the list after `from` gives way to its purpose (用于, 以便), outside brackets.
    pub(super) fn cut_at_purpose(&self, from: usize) -> usize {
        self.cues
            .iter()
            .filter(|cue| cue.cue == Cue::PurposeTail && cue.start >= from)
            .find(|cue| {
                let before = &self.text.norm[self.range.start..cue.start];
                !before.ends_with(['能', '可', '够', '仅']) && self.depth_at(cue.start) == 0
            })
            .map_or(self.range.end, |cue| cue.start)
    }

    /// Where what is given ends and further means begin: 提供昵称或通过….
    pub(super) fn end_at_means(&self, from: usize) -> usize {
        let rest = &self.text.norm[from..self.range.end];
        ["或通过", "或者通过", "并通过", "及通过"]
            .iter()
            .filter_map(|word| rest.find(word))
            .min()
            .map_or(self.range.end, |at| from + at)
    }

    /// Whether the object stands before the verb: 将/把/对…, or the verb is passive.
    pub(super) fn moved_object(&self, from: usize, verb: usize) -> bool {
        let before = &self.text.norm[from..verb];
        let marked = ["将", "把", "对"].iter().any(|word| {
            before.rfind(word).is_some_and(|at| {
                let object = from + at + word.len();
                let data = self.data_in(object..verb);
                !data.is_empty()
            })
        });
        marked || before.ends_with("被") || before.ends_with("会被") || before.ends_with("将被")
    }

    /// Whether a verb goes on with what the one before is about: …上传至服务器或分享给第三方.
    pub(super) fn is_alternative(&self, predicate: &Predicate, from: usize) -> bool {
        let between = &self.text.norm[from..predicate.start];
        ["或", "或者", "或是", "、"].iter().any(|word| between.ends_with(word))
            && self.data_in(from..predicate.start).is_empty()
    }

    /// Whether a verb is denied: a negator before it, not behind another verb's data.
    pub(super) fn negated(&self, predicate: &Predicate, from: usize) -> bool {
        let near = self.cues.iter().rev().find(|cue| cue.cue == Cue::Negator && cue.end <= predicate.start);
        near.is_some_and(|cue| {
            cue.start >= from
                || self.data_in(cue.end..predicate.start).is_empty() && predicate.start - cue.end <= SUBJECT_GAP_MAX
        })
    }

    /// Whether it denies something, and so is no part of a list before it.
    pub(super) fn denies(&self) -> bool {
        let head = ["不会", "不得", "不再", "并不", "不包括", "不包含", "不含"]
            .iter()
            .any(|word| self.opened().starts_with(word));
        head || self.predicates().iter().any(|predicate| self.negated(predicate, self.range.start))
    }

    /// Whether the verb is about what the user refuses or switches off.
    pub(super) fn chosen_against(&self, predicate: &Predicate) -> bool {
        self.has_before(Cue::UserChoice, predicate.start)
    }

    /// Whether a verb waits for consent: 征得您的同意后共享.
    pub(super) fn consented_before(&self, predicate: &Predicate) -> bool {
        self.has_before(Cue::Consent, predicate.start)
    }

    /// A promise to use data for nothing else (不会将Cookie用于其他用途): its verb, and the words of the limit.
    pub(super) fn purpose_limit(&self) -> Option<(Predicate, &'p str)> {
        let tail =
            self.cues.iter().find(|cue| cue.cue == Cue::PurposeTail && self.has_before(Cue::Negator, cue.start))?;
        let rest = &self.text.norm[tail.end..self.range.end];
        let other =
            ["之外", "以外", "其他用途", "其它用途", "其他目的", "其它目的"].iter().any(|word| rest.contains(word));
        let verb = Verb::Actions(vec![Action::Use]);
        let limit = self.text.raw_str(tail.start..self.range.end);
        (other && self.text.norm[tail.start..].starts_with("用于"))
            .then_some((Predicate { verb, start: tail.start, end: tail.end }, limit))
    }

    /// Whether consent is what the verb is about: 获得你的同意.
    pub(super) fn has_consent_after(&self, predicate: &Predicate) -> bool {
        self.cues.iter().any(|cue| cue.cue == Cue::Consent && cue.start >= predicate.end)
    }

    /// Whether the user is the verb's subject: 您使用, 你可以查看; not 您授权我们收集, 您的.
    pub(super) fn user_acts(&self, predicate: &Predicate) -> bool {
        let last = self.cues.iter().rev().find(|cue| cue.end <= predicate.start && self.is_actor(cue));
        last.is_some_and(|cue| {
            let gap = &self.text.norm[cue.end..predicate.start];
            let handed =
                ["授权", "同意", "允许", "时", "过程中", "后", "期间", "情况下"].iter().any(|word| gap.contains(word));
            cue.cue == Cue::User
                && !handed
                && gap.len() <= SUBJECT_GAP_MAX
                && self.data_in(cue.end..predicate.start).is_empty()
        })
    }

    /// Whether a cue names someone who may act, and not an owner (您的) or a receiver (向您).
    fn is_actor(&self, cue: &CueMention) -> bool {
        if !matches!(cue.cue, Cue::First | Cue::User) {
            return false;
        }
        let after = &self.text.norm[cue.end..self.range.end];
        let before = &self.text.norm[self.range.start..cue.start];
        let owned = after.starts_with('的') && !after.starts_with("的企业用户");
        !owned
            && !before.ends_with(['向', '为', '给', '与', '对', '将', '把', '使', '在', '从', '经', '让', '帮', '获'])
    }

    /// The words for a third party data would come from: 从第三方获取.
    pub(super) fn source(&self) -> Option<&'p str> {
        self.cues
            .iter()
            .find(|cue| cue.cue == Cue::Third && self.from(cue.start))
            .map(|cue| self.text.raw_str(cue.start - '从'.len_utf8()..cue.end))
    }

    /// Whether it excepts something: 除Cookie外.
    pub(super) fn is_except(&self) -> bool {
        self.opened().starts_with('除')
    }

    /// Whether the user is who gets it: 发送给您, 向您发送.
    pub(super) fn to_user(&self, predicate: &Predicate) -> bool {
        let before = &self.text.norm[self.range.start..predicate.start];
        let after = &self.text.norm[predicate.end..self.range.end];
        ["向您", "向你", "为您", "为你", "给您", "给你"].iter().any(|word| before.ends_with(word))
            || ["给您", "给你", "给用户"].iter().any(|word| after.starts_with(word))
    }

    /// Whether data goes to the app: 向我们提供.
    pub(super) fn to_us(&self, predicate: &Predicate) -> bool {
        let before = &self.text.norm[self.range.start..predicate.start];
        let after = &self.text.norm[predicate.end..self.range.end];
        ["向我们", "给我们", "我们需要", "需要您", "需要你", "须", "需要"].iter().any(|word| before.ends_with(word))
            || after.starts_with("给我们")
    }

    /// Whether storing happens at a third party: 存储在第三方所提供的服务器上.
    pub(super) fn stored_with_third(&self, predicate: &Predicate) -> bool {
        self.cues
            .iter()
            .any(|cue| cue.cue == Cue::Third && cue.start >= predicate.end && cue.start - predicate.end <= 24)
    }

    /// Whether a name is a source, a means or a goal rather than the one who acts.
    fn is_oblique(&self, start: usize) -> bool {
        if self.from(start) {
            return true;
        }
        let before = &self.text.norm[self.range.start..start];
        let before = before.trim_end_matches(['(', '“', '"']);
        let before = ["该", "其他", "任何", "外部", "上述", "这些", "授权"]
            .iter()
            .fold(before, |text, word| text.strip_suffix(word).unwrap_or(text));
        self.lexicon.oblique.iter().chain(&self.lexicon.via).any(|word| before.ends_with(word.as_str()))
    }

    /// A third party that acts: named ones before `until`, else unnamed ones; none where the app or nobody is named.
    pub(super) fn subject(&self, prose: &Prose<'_>, until: usize) -> Option<Vec<Recipient>> {
        let first = self.cues.iter().rev().find(|cue| cue.cue == Cue::First && cue.end <= until && self.is_actor(cue));
        let after_first = first.map_or(self.range.start, |cue| cue.end);
        let parties: Vec<&PartyMention> = self
            .parties
            .iter()
            .filter(|party| party.start >= after_first && party.end <= until && !self.is_oblique(party.start))
            .collect();
        let third = self.cues.iter().find(|cue| {
            cue.cue == Cue::Third && cue.start >= after_first && cue.end <= until && !self.is_oblique(cue.start)
        });
        let owned = |end: usize| self.text.norm[end..self.range.end].starts_with('的');
        if first.is_some_and(|first| parties.iter().all(|party| party.start > first.end))
            && third.is_none()
            && parties.is_empty()
        {
            return None;
        }
        if !parties.is_empty() && !parties.iter().all(|party| owned(party.end)) {
            // Data in front means the name stands inside the list, not before the verb.
            let before_data = self.data_in(after_first..parties[0].start).is_empty();
            return before_data.then(|| recipients(prose, &parties));
        }
        let third = third.filter(|third| first.is_none() && !owned(third.end))?;
        Some(vec![third_party(self.text.raw_str(third.start..third.end))])
    }

    /// The SDK by which the app takes data: 通过 X SDK 获取.
    pub(super) fn via(&self, prose: &Prose<'_>, predicate: &Predicate) -> Option<Vec<Recipient>> {
        let parties: Vec<&PartyMention> = self
            .parties
            .iter()
            .filter(|party| party.end <= predicate.start)
            .filter(|party| {
                let before = &self.text.norm[self.range.start..party.start];
                let by = self.lexicon.via.iter().any(|word| before.ends_with(word.as_str()));
                let joined = before.ends_with("sdk和") || before.ends_with("sdk、");
                (by || joined) && self.text.norm[party.start..party.end].ends_with("sdk")
            })
            .collect();
        (!parties.is_empty()).then(|| recipients(prose, &parties))
    }

    /// Who data goes to: named parties, else third parties without a name; none where only the user or the app is meant.
    pub(super) fn receivers(&self, prose: &Prose<'_>) -> Option<Vec<Recipient>> {
        let outside: Vec<&PartyMention> =
            self.parties.iter().filter(|party| self.depth_at(party.start) == 0 && !self.from(party.start)).collect();
        if !outside.is_empty() {
            return Some(recipients(prose, &outside));
        }
        let third = self.cues.iter().position(|cue| cue.cue == Cue::Third && !self.from(cue.start))?;
        Some(vec![self.unnamed(third)])
    }

    /// Whether a name is a source: 从第三方, 从我们的关联公司.
    fn from(&self, start: usize) -> bool {
        let before = &self.text.norm[self.range.start..start];
        let Some(at) = before.rfind('从') else { return false };
        let gap = self.range.start + at + '从'.len_utf8()..start;
        let verb = |cue: &CueMention| matches!(cue.cue, Cue::Verb(_) | Cue::Gives | Cue::UserGives | Cue::WeakVerb(_));
        gap.len() <= SOURCE_GAP_MAX && !cues_in(self.mentions, &gap).iter().any(verb)
    }

    /// A third party by the words that say most: the 征信机构 of 第三方征信机构.
    fn unnamed(&self, at: usize) -> Recipient {
        let mut cue = &self.cues[at];
        for next in self.cues[at + 1..].iter().take_while(|next| next.cue == Cue::Third) {
            if next.start != cue.end || self.text.norm[cue.start..cue.end] != *"第三方" {
                break;
            }
            cue = next;
        }
        third_party(self.text.raw_str(cue.start..cue.end))
    }
}
