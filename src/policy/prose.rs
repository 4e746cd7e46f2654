//! Running text → statements. A sentence is read clause by clause: its head tells purposes and conditions from the
//! statement itself, its verbs what is done, the words before them who does it, and the data after (or before, with
//! 将/把/对) what it is done to. A clause without a verb goes on with the list before it.

use super::clause::Clause;
use super::enumeration;
use super::layout::{Block, BlockKind};
use super::lexicon::{Cue, Lexicon, Topic};
use super::predicate::{Predicate, Verb};
use super::sentence::{Frame, LeadIn, clauses, sentences};
use super::statement::{Draft, first_party, named, third_party, words};
use super::text::Text;
use super::vocabulary::{CueMention, Mention, Mentions, PartyMention};
use crate::model::{Action, DataForm, LocalEdge, Polarity, Recipient, StatementSource};
use crate::rules::{ROOT, RuleSet};
use rustc_hash::FxHashSet;
use std::ops::Range;

/// Most parties one statement names, and most mentions a pronoun stands for.
const RECIPIENTS_MAX: usize = 64;
const TOPIC_MAX: usize = 256;

/// What the reader looks at.
pub(super) struct Prose<'p> {
    pub(super) text: &'p Text<'p>,
    pub(super) mentions: &'p Mentions,
    pub(super) lexicon: &'static Lexicon,
    pub(super) rules: &'p RuleSet,
}

/// What a sentence knows while its clauses are read.
#[derive(Default)]
struct Sentence {
    range: Range<usize>,
    clause: String,
    /// Who acts, where a clause said it: a third party.
    subject: Vec<Recipient>,
    /// Whether a condition goes on from the clause before.
    in_condition: bool,
    condition: Option<String>,
    /// A condition that came after the statement; it limits denials.
    late_condition: Option<String>,
    purpose: Option<String>,
    exception: Option<String>,
    form: Option<DataForm>,
    /// The user refuses or switches off.
    user_choice: bool,
    /// Data put before the verb of this clause (将X上传), and whether that verb was denied.
    moved: Option<(Vec<usize>, bool)>,
    /// Who got data in a clause before.
    receivers: Vec<Recipient>,
    /// Who acted in the clause before: the app or the user.
    actor: Option<Cue>,
    /// Data of the clauses before, as indices of mentions.
    topic: Vec<usize>,
    /// Drafts of this sentence start here.
    drafts_from: usize,
    /// For each mention from `first_mention` whether its list is open.
    open: Vec<bool>,
    first_mention: usize,
}

/// Reads the blocks of a policy; `tables` are ranges read elsewhere.
pub(super) fn read(
    prose: &Prose<'_>,
    blocks: &[Block],
    tables: &[Range<usize>],
    edges: &mut Vec<LocalEdge>,
) -> Vec<Draft> {
    let mut reader = Reader { prose, drafts: Vec::new(), frame: Frame::default(), last_topic: Vec::new() };
    let mut lead_in = LeadIn::default();
    for block in blocks {
        let table = tables.partition_point(|table| table.end <= block.start);
        if tables.get(table).is_some_and(|table| table.start < block.end) {
            lead_in = LeadIn::default();
            continue;
        }
        let body = &prose.text.norm[block.start..block.end];
        reader.frame = lead_in.frame(block, body);
        reader.last_topic.clear();
        let before = reader.drafts.len();
        reader.block(block, edges);
        let leads = body.ends_with(':') || (body.ends_with('?') && reader.drafts.len() > before);
        if leads && reader.frame.is_open() {
            lead_in = LeadIn::new(reader.frame.clone());
        }
    }
    reader.drafts
}

struct Reader<'p> {
    prose: &'p Prose<'p>,
    drafts: Vec<Draft>,
    frame: Frame,
    /// Data of the last sentence of the block that had any.
    last_topic: Vec<usize>,
}

/// The items of a sorted list that stand in a range.
fn within<T>(items: &[T], range: &Range<usize>, bounds: impl Fn(&T) -> (usize, usize)) -> Range<usize> {
    let from = items.partition_point(|item| bounds(item).0 < range.start);
    let to = from + items[from..].partition_point(|item| bounds(item).1 <= range.end);
    from..to
}

impl Reader<'_> {
    fn block(&mut self, block: &Block, edges: &mut Vec<LocalEdge>) {
        let range = block.start..block.end;
        let silent = block.topic.is_some_and(Topic::is_silent);
        for sentence in sentences(self.prose.text, range) {
            let found = within(&self.prose.mentions.data, &sentence, |m| (m.start, m.end));
            let ontology = self.prose.rules.ontology();
            let mentions = &self.prose.mentions.data[found.clone()];
            let open =
                enumeration::read(self.prose.text, sentence.clone(), mentions, (self.prose.lexicon, ontology), edges);
            if silent || self.is_void(&sentence, block) {
                continue;
            }
            let drafts_from = self.drafts.len();
            let state = Sentence {
                range: sentence.clone(),
                clause: block.clause.clone(),
                drafts_from,
                open,
                first_mention: found.start,
                ..Sentence::default()
            };
            self.sentence(state, &found);
            self.filter(block, drafts_from);
        }
    }

    /// Whether a sentence is a definition, a legal exception, a question or about minors.
    fn is_void(&self, sentence: &Range<usize>, block: &Block) -> bool {
        let body = self.prose.text.norm[sentence.clone()].trim_end_matches(['。', ';', ',', '!']);
        let cues = within(&self.prose.mentions.cues, sentence, |m| (m.start, m.end));
        let definition = body.chars().take(24).collect::<String>().contains(":指") || body.contains(":是指");
        let cues = &self.prose.mentions.cues[cues];
        let has = |cue: Cue| cues.iter().any(|found| found.cue == cue);
        let exception = block.rank.is_some() && body.ends_with('的') && !has(Cue::First);
        let question = body.ends_with('?') && body.contains("是否");
        definition || exception || question || has(Cue::VoidSentence)
    }

    /// Drops what a section of this kind doesn't say.
    fn filter(&mut self, block: &Block, from: usize) {
        let heading = block.kind == BlockKind::Heading;
        let security = block.topic == Some(Topic::Security);
        if !heading && !security {
            return;
        }
        let mut new = self.drafts.split_off(from);
        let before = new.len();
        new.retain(|draft| {
            let promised = security && draft.polarity == Polarity::Positive;
            let empty = heading && draft.data.iter().all(|data| data.data_type.as_str() == ROOT);
            !(promised || empty)
        });
        if new.len() < before {
            self.frame.drafts.retain(|draft| *draft < from);
        }
        self.drafts.append(&mut new);
    }

    fn sentence(&mut self, mut state: Sentence, found: &Range<usize>) {
        let prose = self.prose;
        for (at, range) in clauses(&prose.text.norm, state.range.clone()).into_iter().enumerate() {
            if at == 0 {
                // A new sentence goes on with the last one only if it says so: 例如…, 包括….
                let body = &prose.text.norm[range.clone()];
                let goes_on = prose
                    .lexicon
                    .example
                    .iter()
                    .chain(&prose.lexicon.includes)
                    .any(|word| body.starts_with(word.as_str()));
                let continued = goes_on || self.frame.pending.is_some() || self.is_list_item(&range);
                if !continued {
                    self.frame = Frame::default();
                }
            }
            let clause = Clause::new(prose, range);
            self.clause(&clause, &mut state);
        }
        self.finish(&state);
        if !found.is_empty() {
            self.last_topic = found.clone().collect();
        }
    }

    /// Whether a clause without verb starts with data, as items under a lead-in do.
    fn is_list_item(&self, range: &Range<usize>) -> bool {
        let cues = within(&self.prose.mentions.cues, range, |m| (m.start, m.end));
        let verb =
            self.prose.mentions.cues[cues].iter().any(|cue| matches!(cue.cue, Cue::Verb(_) | Cue::First | Cue::User));
        !verb
    }

    fn clause(&mut self, clause: &Clause<'_>, state: &mut Sentence) {
        if let Some(exception) = clause.exception() {
            state.exception = state.exception.take().or(words(exception));
        }
        if clause.has(Cue::Void) {
            if clause.is_purpose() {
                state.purpose = state.purpose.take().or_else(|| words(clause.raw()));
            }
            self.frame = Frame::default();
            return;
        }
        let mut clause = clause.clone();
        if state.in_condition || clause.is_condition() {
            state.user_choice |= clause.has(Cue::UserChoice);
            let late = self.drafts.len() > state.drafts_from;
            let slot =
                if late || clause.raw().contains("除非") { &mut state.late_condition } else { &mut state.condition };
            if !clause.has(Cue::UserChoice) {
                *slot = slot.take().or_else(|| words(clause.raw()));
            }
            match clause.after_head() {
                Some(rest) => {
                    state.in_condition = false;
                    state.condition = head_words(&clause, &rest).or(state.condition.take());
                    clause = rest;
                }
                None => {
                    state.in_condition = clause.is_open_condition();
                    self.given_by_choice(&clause, state);
                    return;
                }
            }
        } else if clause.is_purpose() {
            state.purpose = state.purpose.take().or_else(|| words(clause.raw()));
            match clause.after_head() {
                Some(rest) => clause = rest,
                None => return,
            }
        }
        if !clause.has(Cue::OnlyForm) {
            state.form = state.form.or_else(|| clause.form());
        }
        state.condition = state.condition.take().or_else(|| clause.consent().and_then(words));
        state.user_choice |= clause.has(Cue::UserChoice);
        self.limit_use(&clause, state);
        state.moved = None;
        let predicates = clause.predicates();
        let listed = clause.is_led() && self.frame.is_open();
        let says = predicates.iter().any(|predicate| self.meaning(&clause, predicate, state).is_some());
        if listed || !says {
            self.go_on(&clause, state);
        } else {
            let before = (self.drafts.len(), self.frame.clone());
            for (at, predicate) in predicates.iter().enumerate() {
                let before = at.checked_sub(1).map_or(clause.range.start, |last| predicates[last].end);
                let after = predicates.get(at + 1).map_or(clause.range.end, |next| next.start);
                self.predicate(&clause, predicate, before..after, state);
            }
            if self.drafts.len() == before.0 && self.frame.pending.is_none() && before.1.is_open() && clause.goes_on() {
                self.frame = before.1;
                self.go_on(&clause, state);
            }
            state.subject = clause.subject(self.prose, clause.range.end).unwrap_or_default();
        }
        state.actor = clause.first_actor().or(state.actor);
        state.topic.extend(clause.data.clone());
    }

    /// 如您选择提供真实姓名、…: what the user hands over by choice is collected.
    fn given_by_choice(&mut self, clause: &Clause<'_>, state: &mut Sentence) {
        if !clause.is_except() {
            state.topic.extend(clause.data.clone());
        }
        let gives = clause.cues.iter().find(|cue| matches!(cue.cue, Cue::UserGives | Cue::Gives));
        let Some(gives) = gives else { return };
        let refused = clause.has(Cue::UserChoice)
            || clause.has(Cue::Negator)
            || clause.has(Cue::Third)
            || clause.has(Cue::LocalOnly);
        let end = clause.end_at_means(gives.end);
        let data: Vec<usize> = clause.data_in(gives.end..end).filter(|at| !self.is_generic(*at)).collect();
        if !refused && clause.has(Cue::User) && !data.is_empty() {
            self.draft(&[Action::Collect], Polarity::Positive, vec![first_party()], &data, state);
        }
    }

    fn mention(&self, at: usize) -> &Mention {
        &self.prose.mentions.data[at]
    }

    /// Whether a mention is of personal information as such.
    fn is_generic(&self, at: usize) -> bool {
        self.mention(at).types.iter().all(|data_type| data_type.as_str() == ROOT)
    }

    /// A clause without a verb.
    fn go_on(&mut self, clause: &Clause<'_>, state: &mut Sentence) {
        if clause.data.is_empty() {
            if let Some(subject) = clause.subject(self.prose, clause.range.end) {
                state.subject = subject;
            }
            return;
        }
        if clause.denies() || !clause.goes_on() {
            self.frame = Frame::default();
            return;
        }
        let data: Vec<usize> = clause.data_in(clause.range.start..clause.cut_at_purpose(clause.range.start)).collect();
        if let Some((actions, polarity, recipients)) = self.frame.pending.take() {
            self.draft(&actions, polarity, recipients, &data, state);
        } else {
            for at in self.frame.drafts.clone() {
                self.extend(at, &data, state);
            }
        }
    }

    fn extend(&mut self, draft: usize, data: &[usize], state: &Sentence) {
        let (text, mentions) = (self.prose.text, &self.prose.mentions.data);
        let Some(draft) = self.drafts.get_mut(draft) else { return };
        for at in data {
            let open =
                at.checked_sub(state.first_mention).and_then(|own| state.open.get(own)).copied().unwrap_or(false);
            draft.add(text, &mentions[*at], open);
        }
        draft.range.end = draft.range.end.max(state.range.end);
    }

    fn draft(
        &mut self,
        actions: &[Action],
        polarity: Polarity,
        recipients: Vec<Recipient>,
        data: &[usize],
        state: &Sentence,
    ) {
        let from = self.drafts.len();
        for recipient in recipients {
            for action in actions {
                self.drafts.push(Draft {
                    clause: state.clause.clone(),
                    range: state.range.clone(),
                    action: *action,
                    polarity,
                    recipient: recipient.clone(),
                    data: Vec::new(),
                    purpose: None,
                    condition: None,
                    form: None,
                    source: StatementSource::Prose,
                    seen: FxHashSet::default(),
                });
            }
        }
        self.frame = Frame { drafts: (from..self.drafts.len()).collect(), pending: None };
        for at in from..self.drafts.len() {
            self.extend(at, data, state);
        }
    }

    fn predicate(&mut self, clause: &Clause<'_>, predicate: &Predicate, segment: Range<usize>, state: &mut Sentence) {
        if let Some(parts) = predicate.parts() {
            for part in parts {
                self.predicate(clause, &part, segment.clone(), state);
            }
            return;
        }
        let Some((actions, recipients)) = self.meaning(clause, predicate, state) else {
            return;
        };
        let carried = state.moved.take().filter(|_| clause.is_alternative(predicate, segment.start));
        let negative =
            clause.negated(predicate, segment.start) || carried.as_ref().is_some_and(|(_, negative)| *negative);
        let user_gives = matches!(predicate.verb, Verb::UserGives | Verb::Gives) && clause.user_acts(predicate);
        if negative && (state.user_choice || user_gives || actions == [Action::Use]) || clause.chosen_against(predicate)
        {
            return;
        }
        let polarity = if negative { Polarity::Negative } else { Polarity::Positive };
        if !negative && self.only_excepts(clause, predicate, &actions, state) {
            state.exception = state.exception.take().or_else(|| words(clause.raw()));
            return;
        }
        let mut data = self.objects(clause, predicate, &segment, &actions, state);
        if let Some((before, _)) = carried.filter(|_| data.is_empty() && clause.ends_outward(predicate)) {
            data = before;
        }
        if clause.moved_object(segment.start, predicate.start) {
            state.moved = Some((data.clone(), negative));
        }
        if data.is_empty() {
            let lead = !clause.has_consent_after(predicate) && !clause.has(Cue::SameData);
            if lead && polarity == Polarity::Positive && actions.contains(&Action::Collect) {
                self.frame = Frame { drafts: Vec::new(), pending: Some((actions, polarity, recipients)) };
            }
            return;
        }
        if clause.has(Cue::OnlyForm) {
            // 仅收集加密后的信息: taken in that form, and denied plainly.
            let at = self.drafts.len();
            self.draft(&actions, Polarity::Negative, recipients.clone(), &data, state);
            self.drafts[at..].iter_mut().for_each(|draft| draft.form = Some(DataForm::Plain));
        }
        if actions.contains(&Action::Share) {
            state.receivers.clone_from(&recipients);
        }
        let at = self.drafts.len();
        self.draft(&actions, polarity, recipients, &data, state);
        if clause.has(Cue::OnlyForm) {
            let form = state.form.or_else(|| clause.form());
            self.drafts[at..].iter_mut().for_each(|draft| draft.form = form);
        }
        if let (true, Some(source)) = (negative, clause.source()) {
            // Only taking it from there is denied.
            self.drafts[at..].iter_mut().for_each(|draft| draft.condition = words(source));
        }
    }

    /// Whether a verb after a denial of the same only says what consent would change: 我们不会共享…,征得您的同意后共享.
    fn only_excepts(&self, clause: &Clause<'_>, predicate: &Predicate, actions: &[Action], state: &Sentence) -> bool {
        let gives = |action: &Action| matches!(action, Action::Share | Action::Transfer | Action::Disclose);
        let denied = |draft: &Draft| draft.polarity == Polarity::Negative && actions.contains(&draft.action);
        actions.iter().any(gives)
            && clause.consented_before(predicate)
            && self.drafts[state.drafts_from..].iter().any(denied)
    }

    /// 不会将Cookie用于其他用途: other uses are denied.
    fn limit_use(&mut self, clause: &Clause<'_>, state: &Sentence) {
        let Some((predicate, limit)) = clause.purpose_limit() else { return };
        let segment = clause.range.start..predicate.start;
        let data = self.objects(clause, &predicate, &segment, &[Action::Use], state);
        if !data.is_empty() {
            let at = self.drafts.len();
            self.draft(&[Action::Use], Polarity::Negative, vec![first_party()], &data, state);
            self.drafts[at..].iter_mut().for_each(|draft| draft.condition = words(limit));
            self.frame = Frame::default();
        }
    }

    /// What a verb means here and who gets the data; none where it says nothing about handling it.
    fn meaning(
        &self,
        clause: &Clause<'_>,
        predicate: &Predicate,
        state: &Sentence,
    ) -> Option<(Vec<Action>, Vec<Recipient>)> {
        let collector = || {
            clause.via(self.prose, predicate).or_else(|| clause.subject(self.prose, predicate.start)).or_else(|| {
                (!state.subject.is_empty() && !clause.has_before(Cue::First, predicate.start))
                    .then(|| state.subject.clone())
            })
        };
        let own = || collector().unwrap_or_else(|| vec![first_party()]);
        match &predicate.verb {
            Verb::Actions(actions) if actions.iter().all(|action| matches!(action, Action::Collect | Action::Use)) => {
                (!clause.user_acts(predicate)).then(|| (actions.clone(), own()))
            }
            Verb::Actions(actions) if actions.contains(&Action::Store) => {
                let third = clause.stored_with_third(predicate);
                let (actions, recipients) = if third {
                    (vec![Action::Store], vec![third_party("第三方")])
                } else {
                    (actions.clone(), own())
                };
                (!clause.user_acts(predicate)).then_some((actions, recipients))
            }
            Verb::Actions(actions) => {
                if clause.user_acts(predicate) {
                    return None;
                }
                Some((actions.clone(), clause.receivers(self.prose).unwrap_or_else(|| vec![third_party("第三方")])))
            }
            Verb::Weak(action) => {
                let acts = clause.has_before(Cue::First, predicate.start)
                    || collector().is_some()
                    || (state.actor == Some(Cue::First) && !clause.user_before(predicate));
                (acts && !clause.user_acts(predicate)).then(|| (vec![*action], own()))
            }
            Verb::UserGives => Some((vec![Action::Collect], own())),
            Verb::Gives if clause.to_user(predicate) => None,
            Verb::Gives => match clause.receivers(self.prose) {
                Some(_) if clause.user_acts(predicate) => None,
                Some(receivers) => Some((vec![Action::Share], receivers)),
                None => {
                    let by_user = clause.user_acts(predicate)
                        || clause.to_us(predicate)
                        || (clause.first_actor().is_none() && state.actor == Some(Cue::User));
                    if !by_user && !state.receivers.is_empty() {
                        return Some((vec![Action::Share], state.receivers.clone()));
                    }
                    by_user.then(|| (vec![Action::Collect], vec![first_party()]))
                }
            },
        }
    }

    /// The data a verb is about: after it, before it with 将/把/对, or what was said before.
    fn objects(
        &self,
        clause: &Clause<'_>,
        predicate: &Predicate,
        segment: &Range<usize>,
        actions: &[Action],
        state: &Sentence,
    ) -> Vec<usize> {
        let cut = clause.cut_at_purpose(predicate.end).min(segment.end);
        let after: Vec<usize> = clause.data_in(predicate.end..cut).collect();
        let moved = clause.moved_object(segment.start, predicate.start);
        let before: Vec<usize> = clause.data_in(segment.start..predicate.start).collect();
        let same = clause.has(Cue::SameData) || clause.has(Cue::OnlyForm);
        let outward = actions.iter().any(|action| !matches!(action, Action::Collect | Action::Use));
        if moved && !before.is_empty() {
            return before;
        }
        let outside = after.iter().any(|at| !clause.in_brackets(self.mention(*at).start));
        let listed = after.first().is_some_and(|at| clause.bracket_lists(predicate.end, self.mention(*at).start));
        if !after.is_empty() && (outside || listed) {
            return after;
        }
        let gone = clause.ends_outward(predicate);
        if !before.is_empty() && gone && (outward || matches!(predicate.verb, Verb::UserGives)) {
            return before;
        }
        let kept_back = predicate.verb == Verb::UserGives && gone && clause.negated(predicate, segment.start);
        if same || kept_back || (outward && gone && !clause.has_consent_after(predicate)) {
            let topic = if state.topic.is_empty() && same { &self.last_topic } else { &state.topic };
            return topic[topic.len().saturating_sub(TOPIC_MAX)..].to_vec();
        }
        Vec::new()
    }

    /// Gives the drafts of a sentence what it said besides.
    fn finish(&mut self, state: &Sentence) {
        for draft in &mut self.drafts[state.drafts_from..] {
            draft.purpose = draft.purpose.take().or_else(|| state.purpose.clone());
            let limit = (draft.polarity == Polarity::Negative)
                .then(|| state.exception.clone().or_else(|| state.late_condition.clone()))
                .flatten();
            draft.condition = draft.condition.take().or(limit).or_else(|| state.condition.clone());
            draft.form = draft.form.or(if draft.polarity == Polarity::Positive { state.form } else { None });
        }
    }
}

/// The words of a condition in front of its statement.
fn head_words(clause: &Clause<'_>, rest: &Clause<'_>) -> Option<String> {
    clause.is_condition().then(|| words(clause.raw_until(rest.range.start))).flatten()
}

/// Parties of the text as recipients.
pub(super) fn recipients(prose: &Prose<'_>, parties: &[&PartyMention]) -> Vec<Recipient> {
    let mut out: Vec<Recipient> = Vec::new();
    for party in parties {
        let name = prose.text.raw_str(party.start..party.end).trim();
        let mut recipient = named(prose.rules, name);
        if let Some(id) = &party.id {
            recipient.id = id.clone();
        }
        if !out.iter().any(|known| known.id == recipient.id) {
            out.push(recipient);
        }
        if out.len() == RECIPIENTS_MAX {
            break;
        }
    }
    out
}

/// The cues of a range.
pub(super) fn cues_in<'m>(mentions: &'m Mentions, range: &Range<usize>) -> &'m [CueMention] {
    &mentions.cues[within(&mentions.cues, range, |m| (m.start, m.end))]
}

/// The data mentions of a range, as indices.
pub(super) fn data_in(mentions: &Mentions, range: &Range<usize>) -> Range<usize> {
    within(&mentions.data, range, |m| (m.start, m.end))
}

/// The parties of a range.
pub(super) fn parties_in<'m>(mentions: &'m Mentions, range: &Range<usize>) -> &'m [PartyMention] {
    &mentions.parties[within(&mentions.parties, range, |m| (m.start, m.end))]
}
