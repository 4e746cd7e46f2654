//! Judges one data flow against the statements of the policies: PoliCheck's relevant statements, contradictions,
//! nearest statement and distances, in PoliCheck's order of tests, with the promises of `promise` held against the
//! bytes. Departs from it in one thing: a statement about personal information at large declares no data
//! (`licenses`). Gives the verdict with the statements it rests on and the reason in words.

use super::promise::{self, Denial};
use super::relation::{Cell, Relation};
use super::statement::{Receiver, Said, Statements};
use super::terms::{Above, Terms};
use crate::model::{ClauseQuote, DataFlow, DataForm, Party, Polarity, PolicyDocument, Role, Verdict};
use crate::rules::{ANYONE, PartyKind, ROOT, RuleSet, THIRD_PARTY, normalise_alias};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Steps from the flow up to the nearest statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distances {
    /// From the receiver to the statement's recipient.
    pub entity: u32,
    /// From the data type to the statement's.
    pub data: u32,
}

/// How vague the nearest statement is on each axis, from 0 (exact) to 1 (the root): PoliCheck's score,
/// dist(flow, statement) / (dist(flow, statement) + dist(statement, root)).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vagueness {
    /// Of the recipient; 0 for the first party.
    pub entity: f64,
    /// Of the data.
    pub data: f64,
}

/// A verdict with its reasons.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The disclosure type.
    pub verdict: Verdict,
    /// The statements it rests on, nearest first, at most [`Judgement::CLAUSES_MAX`].
    pub clauses: Vec<ClauseQuote>,
    /// Why, in words.
    pub reason: String,
    /// How far the nearest statement is; none where no statement is relevant.
    pub distances: Option<Distances>,
    /// How vague it is.
    pub vagueness: Option<Vagueness>,
    /// The cells of the contradiction table that declarations and denials fall into.
    pub cells: BTreeSet<Cell>,
    /// Indices of the positive statements that speak of this flow, for the declared-only list.
    pub(super) relevant: Vec<usize>,
}

impl Judgement {
    /// Most statements quoted.
    pub const CLAUSES_MAX: usize = 6;
}

/// A relevant statement: its place in `Statements::all` and its distances.
#[derive(Debug, Clone, Copy)]
struct Hit {
    at: usize,
    distances: Distances,
    denial: Option<Denial>,
}

/// The statements of some policies, ready to judge flows.
#[derive(Debug)]
pub struct Judge<'a> {
    pub(super) rules: &'a RuleSet,
    pub(super) statements: Statements<'a>,
    /// One ontology a document.
    terms: Vec<Terms<'a>>,
    /// All of them together, to relate statements of different documents.
    joined: Terms<'a>,
}

impl<'a> Judge<'a> {
    /// Reads the statements of the documents.
    #[must_use]
    pub fn new(documents: &[&'a PolicyDocument], rules: &'a RuleSet) -> Self {
        let ontology = rules.ontology();
        Self {
            rules,
            statements: Statements::new(documents),
            terms: documents.iter().map(|policy| Terms::new(ontology, policy.local_ontology.iter())).collect(),
            joined: Terms::new(ontology, documents.iter().flat_map(|policy| &policy.local_ontology)),
        }
    }

    /// Judges a flow.
    #[must_use]
    pub fn judge(&self, flow: &DataFlow) -> Judgement {
        let above: Vec<Arc<Above>> = self.terms.iter().map(|terms| terms.above(&flow.data_type)).collect();
        let mut hits = self.relevant(flow, &above);
        hits.sort_by_key(|hit| (hit.distances, self.said(hit).implied, hit.at));
        let case = Case { judge: self, flow, above: &above };
        let denials: Vec<Hit> =
            hits.iter().copied().filter(|hit| hit.denial.is_some_and(|d| d != Denial::Open)).collect();
        let open: Vec<Hit> = hits.iter().copied().filter(|hit| hit.denial == Some(Denial::Open)).collect();
        let declared: Vec<Hit> = hits.iter().copied().filter(|hit| hit.denial.is_none()).collect();
        let (declared, idle): (Vec<Hit>, Vec<Hit>) = declared.into_iter().partition(|hit| case.licenses(hit));
        let relevant = declared.iter().filter(|hit| !self.said(hit).implied).map(|hit| hit.at).collect();
        let mut judgement = match (declared.is_empty(), denials.is_empty()) {
            (true, true) => case.omitted(&open, &idle),
            (true, false) => case.denied(&denials),
            (false, true) => case.declared(&declared),
            (false, false) => case.both(&declared, &denials),
        };
        judgement.relevant = relevant;
        judgement
    }

    fn said(&self, hit: &Hit) -> &Said<'a> {
        &self.statements.all[hit.at]
    }

    fn receiver(&self, said: &Said<'_>) -> &Receiver {
        &self.statements.receivers[said.receiver]
    }

    /// P_f: the statements whose data and recipient are those of the flow or above them.
    fn relevant(&self, flow: &DataFlow, above: &[Arc<Above>]) -> Vec<Hit> {
        let alias = normalise_alias(&flow.party.name);
        let entities: Vec<Option<u32>> = self
            .statements
            .receivers
            .iter()
            .map(|receiver| self.entity_distance(&flow.party, &alias, receiver))
            .collect();
        let mut hits = Vec::new();
        for (document, above) in above.iter().enumerate() {
            for (at, data) in self.statements.about(document, above) {
                let said = &self.statements.all[at];
                let Some(entity) = entities[said.receiver] else { continue };
                let denial =
                    (said.declaration.polarity == Polarity::Negative).then(|| promise::denial(said.declaration, flow));
                hits.push(Hit { at, distances: Distances { entity, data }, denial });
            }
        }
        hits
    }

    /// Steps from the party up to somebody the policy speaks of. The first party is never just anyone, and others are
    /// never the first party.
    fn entity_distance(&self, party: &Party, alias: &str, receiver: &Receiver) -> Option<u32> {
        if (party.role == Role::FirstParty) || receiver.own {
            return (party.role == Role::FirstParty && receiver.own).then_some(0);
        }
        if party.id == receiver.id || (!alias.is_empty() && alias == receiver.alias) {
            return Some(0);
        }
        self.rules.entity_distance(&party.id, &receiver.id).or(match &*receiver.id {
            THIRD_PARTY => Some(1),
            ANYONE => Some(2),
            _ => None,
        })
    }

    fn entity_relation(&self, first: &Receiver, second: &Receiver) -> Relation {
        if first.id == second.id || (!first.alias.is_empty() && first.alias == second.alias) {
            Relation::Equal
        } else if self.rules.entity_subsumes(&second.id, &first.id) {
            Relation::Narrower
        } else if self.rules.entity_subsumes(&first.id, &second.id) {
            Relation::Broader
        } else {
            Relation::Overlapping
        }
    }

    /// Whether the receiver names the party itself or its company rather than a kind of receiver.
    pub(super) fn names(&self, party: &Party, receiver: &Receiver) -> bool {
        let kind = self.rules.party(&receiver.id).map(|rule| rule.kind);
        kind != Some(PartyKind::Group)
            && !matches!(&*receiver.id, THIRD_PARTY | ANYONE)
            && self.entity_distance(party, &normalise_alias(&party.name), receiver).is_some()
    }

    /// The cell a declaration and a denial fall into.
    fn cell(&self, declared: &Said<'_>, denied: &Said<'_>) -> Cell {
        let same = declared.document == denied.document;
        let terms = if same { &self.terms[declared.document] } else { &self.joined };
        Cell::of(
            self.entity_relation(self.receiver(declared), self.receiver(denied)),
            terms.relation(declared.data.data_type, denied.data.data_type),
        )
    }

    /// The quotation of a statement.
    pub(super) fn quote(&self, said: &Said<'_>) -> ClauseQuote {
        let declaration = said.declaration;
        ClauseQuote {
            document: said.document,
            id: declaration.id.clone(),
            clause: declaration.clause.clone(),
            text: declaration.text.clone(),
            span: declaration.span,
            phrase: Some(said.data.span).filter(|span| span.0 < span.1),
            polarity: declaration.polarity,
        }
    }
}

/// The sentence a statement stands in: its document and where it starts.
type Place = (usize, usize);

/// One flow being judged.
struct Case<'j, 'a> {
    judge: &'j Judge<'a>,
    flow: &'j DataFlow,
    above: &'j [Arc<Above>],
}

impl Case<'_, '_> {
    /// Whether a positive statement tells anything of this flow. "We collect (or share) your personal information"
    /// says that some is, not which: it stands in every policy, and would license everything. The denial "we do not
    /// share your personal information" speaks of all of it and counts. For a recipient that is named, the statement
    /// is vague, but it is one.
    fn licenses(&self, hit: &Hit) -> bool {
        let said = self.judge.said(hit);
        let named = hit.distances.entity == 0 && !self.judge.receiver(said).own;
        said.data.data_type.as_str() != ROOT || hit.distances.data == 0 || named
    }

    fn omitted(&self, open: &[Hit], idle: &[Hit]) -> Judgement {
        let (data, party) = (&self.flow.data_type, &self.flow.party);
        let mut reason = format!("no statement declares {data} for {}", name(party));
        if let Some(hit) = idle.first() {
            let form = match self.judge.said(hit).declaration.form {
                Some(DataForm::Anonymised | DataForm::Hashed) => "anonymised information",
                _ => "personal information in general",
            };
            reason.push_str(&format!("; {} speaks of {form}, which names no data", self.clause(hit)));
        }
        if let Some(hit) = open.first() {
            reason.push_str(&format!("; {} denies it only under a condition", self.clause(hit)));
        }
        let others = self.declared_for_others();
        if !others.is_empty() {
            reason.push_str(&format!("; it is declared for {} only, which licenses nobody else", others.join(", ")));
        }
        let quoted: Vec<Hit> = idle.first().into_iter().chain(open).copied().collect();
        self.judgement(Verdict::Omitted, &quoted, None, reason)
    }

    /// Others for whom this very type is declared.
    fn declared_for_others(&self) -> Vec<String> {
        const OTHERS_MAX: usize = 3;
        let mut names = BTreeSet::new();
        for (document, above) in self.above.iter().enumerate() {
            for (at, distance) in self.judge.statements.about(document, above) {
                let said = &self.judge.statements.all[at];
                if distance == 0 && !said.implied && said.declaration.polarity == Polarity::Positive {
                    names.insert(self.judge.receiver(said).name.to_string());
                }
            }
        }
        let more = names.len().saturating_sub(OTHERS_MAX);
        let mut names: Vec<String> = names.into_iter().take(OTHERS_MAX).collect();
        if more > 0 {
            names.push(format!("{more} more"));
        }
        names
    }

    fn denied(&self, denials: &[Hit]) -> Judgement {
        let reason = format!("{}, and it was sent", self.says(&denials[0]));
        self.judgement(Verdict::Incorrect, denials, denials.first(), reason)
    }

    fn declared(&self, declared: &[Hit]) -> Judgement {
        let nearest = &declared[0];
        let ties: Vec<Hit> = declared.iter().copied().take_while(|hit| hit.distances == nearest.distances).collect();
        if let Some((hit, why)) = self.broken(&ties) {
            let reason = format!("{}: {why}", self.says(hit));
            return self.judgement(Verdict::Incorrect, &ties, Some(nearest), reason);
        }
        let exact = nearest.distances == Distances { entity: 0, data: 0 };
        let verdict = if exact { Verdict::Clear } else { Verdict::Vague };
        let reason = if exact { self.says(nearest) } else { self.vague(nearest) };
        self.judgement(verdict, &ties, Some(nearest), reason)
    }

    /// The statement among equally near ones whose promise the flow breaks. A statement that grants the flow without
    /// a condition outweighs one that waits for consent; one that says "as it is" outweighs a promised form.
    fn broken<'h>(&self, ties: &'h [Hit]) -> Option<(&'h Hit, String)> {
        let declaration = |hit: &Hit| self.judge.said(hit).declaration;
        if ties.iter().any(|hit| declaration(hit).form == Some(DataForm::Plain)) {
            return None;
        }
        let promised = ties.iter().find(|hit| declaration(hit).form.is_some() && self.why_broken(hit).is_some());
        let all = ties.iter().all(|hit| self.why_broken(hit).is_some());
        let hit = promised.or_else(|| ties.first().filter(|_| all))?;
        self.why_broken(hit).map(|why| (hit, why))
    }

    fn why_broken(&self, hit: &Hit) -> Option<String> {
        promise::broken(self.judge.said(hit).declaration, self.flow)
    }

    fn both(&self, declared: &[Hit], denials: &[Hit]) -> Judgement {
        let pairs = self.pairs(declared, denials);
        let cells: BTreeSet<Cell> = pairs.keys().copied().collect();
        let mut judgement = if pairs.is_empty() {
            // All of it stands within one sentence: what is nearest counts, and of equals the denial (仅收集加密后的…).
            if denials[0].distances <= declared[0].distances { self.denied(denials) } else { self.declared(declared) }
        } else if let Some((cell, (yes, no))) = pairs.iter().find(|(cell, _)| cell.contradicts()) {
            self.contradiction(*cell, yes, no, denials)
        } else if let Some((cell, (yes, no))) = pairs.first_key_value() {
            let reason = format!(
                "{}, but {} denies it more narrowly ({cell:?}): {}",
                self.clause(yes),
                self.clause(no),
                self.says(no)
            );
            self.judgement(Verdict::Incorrect, &[*no, *yes], Some(no), reason)
        } else {
            self.declared(declared)
        };
        judgement.cells = cells;
        judgement
    }

    fn contradiction(&self, cell: Cell, yes: &Hit, no: &Hit, denials: &[Hit]) -> Judgement {
        // "Only share codes are uploaded; apart from that nothing is": no contradiction, and the tester's own text is
        // no share code.
        let residual = denials.iter().all(|hit| hit.denial == Some(Denial::Residual));
        let conditional = self.judge.said(yes).declaration.condition.is_some();
        if residual && conditional && promise::is_canary(self.flow) {
            let condition = self.judge.said(yes).declaration.condition.as_deref().unwrap_or_default();
            let reason = format!(
                "{} grants it only \u{201c}{condition}\u{201d}, {} denies all else, and a text of the tester's own was sent",
                self.clause(yes),
                self.clause(no)
            );
            return self.judgement(Verdict::Incorrect, &[*no, *yes], Some(no), reason);
        }
        let reason = format!("{}, but {} (contradiction {cell:?})", self.says(yes), self.says(no));
        let nearest = if no.distances < yes.distances { no } else { yes };
        self.judgement(Verdict::Ambiguous, &[*yes, *no], Some(nearest), reason)
    }

    /// The cells that declarations and denials of different sentences fall into, each with its nearest pair. Statements
    /// alike in recipient and data are taken together, so that many of them cost no more than a few.
    fn pairs(&self, declared: &[Hit], denials: &[Hit]) -> BTreeMap<Cell, (Hit, Hit)> {
        let (declared, denials) = (self.alike(declared), self.alike(denials));
        let mut pairs = BTreeMap::new();
        for yes in &declared {
            for no in &denials {
                let apart = yes.iter().find_map(|(hit, place)| {
                    no.iter().find(|(_, other)| place != other).map(|(other, _)| (*hit, *other))
                });
                let Some((a, b)) = apart else { continue };
                pairs.entry(self.judge.cell(self.judge.said(&a), self.judge.said(&b))).or_insert((a, b));
            }
        }
        pairs
    }

    /// Hits grouped by recipient and data, nearest first, at most two of a group: the first, and the first of another
    /// sentence.
    fn alike(&self, hits: &[Hit]) -> Vec<Vec<(Hit, Place)>> {
        let mut groups: Vec<Vec<(Hit, Place)>> = Vec::new();
        let mut known = BTreeMap::new();
        for hit in hits {
            let said = self.judge.said(hit);
            let next = groups.len();
            let group = *known.entry((said.receiver, said.data.data_type)).or_insert(next);
            if group == next {
                groups.push(Vec::new());
            }
            // A sentence is known by its start: items of a list may lengthen a statement.
            let place = (said.document, said.declaration.span.0);
            let group = &mut groups[group];
            if group.len() < 2 && group.iter().all(|(_, other)| *other != place) {
                group.push((*hit, place));
            }
        }
        groups
    }

    /// `clause 1.2 (s3)`.
    fn clause(&self, hit: &Hit) -> String {
        let declaration = self.judge.said(hit).declaration;
        let clause = if declaration.clause.is_empty() { "?" } else { &declaration.clause };
        format!("clause {clause} ({})", declaration.id)
    }

    /// `clause 1.2 (s3) declares imei (IMEI号) for first_party`.
    fn says(&self, hit: &Hit) -> String {
        let said = self.judge.said(hit);
        let receiver = self.judge.receiver(said);
        let verb = match said.declaration.polarity {
            Polarity::Positive if said.implied => "shares, and so collects,",
            Polarity::Positive => "declares",
            Polarity::Negative => "denies",
        };
        let data = said.data.data_type;
        let words = if said.data.text.is_empty() { String::new() } else { format!(" ({})", said.data.text) };
        format!("{} {verb} {data}{words} for {}", self.clause(hit), receiver.name)
    }

    fn vague(&self, hit: &Hit) -> String {
        let said = self.judge.said(hit);
        let mut parts = Vec::new();
        if hit.distances.data > 0 {
            let way = self.above[said.document].way(said.data.data_type);
            parts.push(format!("the data only by a broader term, {} up: {way}", steps(hit.distances.data)));
        }
        if hit.distances.entity > 0 {
            let receiver = self.judge.receiver(said);
            parts.push(format!(
                "the recipient only as {} ({}), {} above {}",
                receiver.name,
                receiver.id,
                steps(hit.distances.entity),
                name(&self.flow.party)
            ));
        }
        format!("{}: {}", self.says(hit), parts.join("; "))
    }

    fn judgement(&self, verdict: Verdict, hits: &[Hit], nearest: Option<&Hit>, reason: String) -> Judgement {
        let mut quoted = BTreeSet::new();
        let clauses = hits
            .iter()
            .map(|hit| self.judge.said(hit))
            .filter(|said| quoted.insert((said.document, &said.declaration.id)))
            .take(Judgement::CLAUSES_MAX)
            .map(|said| self.judge.quote(said))
            .collect();
        Judgement {
            verdict,
            clauses,
            reason,
            distances: nearest.map(|hit| hit.distances),
            vagueness: nearest.map(|hit| self.vagueness(hit)),
            cells: BTreeSet::new(),
            relevant: Vec::new(),
        }
    }

    fn vagueness(&self, hit: &Hit) -> Vagueness {
        let said = self.judge.said(hit);
        let root = crate::model::DataType::new(ROOT);
        let to_root = self.judge.terms[said.document].above(said.data.data_type).distance(&root).unwrap_or(0);
        let receiver = self.judge.receiver(said);
        let to_anyone = self.judge.rules.entity_distance(&receiver.id, ANYONE).unwrap_or(0);
        Vagueness {
            entity: if receiver.own { 0.0 } else { score(hit.distances.entity, to_anyone) },
            data: score(hit.distances.data, to_root),
        }
    }
}

fn score(below: u32, above: u32) -> f64 {
    if below == 0 { 0.0 } else { f64::from(below) / f64::from(below + above) }
}

fn steps(count: u32) -> String {
    if count == 1 { "1 step".to_owned() } else { format!("{count} steps") }
}

/// `个推 (getui)`, or the id alone where there is no other name.
fn name(party: &Arc<Party>) -> String {
    if party.name == party.id || party.name.is_empty() {
        party.id.to_string()
    } else {
        format!("{} ({})", party.name, party.id)
    }
}
