//! Lists of data: which mentions stand in an open list (等, such as), and the text's own ontology, where a broader term
//! is followed by its parts (设备信息(IMEI、…), 日志信息包括…).

use super::lexicon::Lexicon;
use super::text::Text;
use super::vocabulary::Mention;
use crate::model::LocalEdge;
use crate::rules::Ontology;
use std::ops::Range;

/// Deepest bracket followed; deeper ones count as this deep.
const DEPTH_MAX: usize = 8;
/// Most parts of one inclusion, and most edges of a document.
const PARTS_MAX: usize = 64;
const EDGES_MAX: usize = 4000;

/// A bracketed list or the whole text around the brackets.
#[derive(Debug, Clone)]
struct Level {
    /// Where its content starts.
    start: usize,
    /// The mention right before the bracket.
    parent: Option<usize>,
    /// Mentions directly inside.
    members: Vec<usize>,
    open: bool,
}

/// For each mention of `mentions` whether its list is open; also the edges, appended to `edges`.
pub(super) fn read(
    text: &Text<'_>,
    range: Range<usize>,
    mentions: &[Mention],
    (lexicon, ontology): (&Lexicon, &Ontology),
    edges: &mut Vec<LocalEdge>,
) -> Vec<bool> {
    let norm = &text.norm;
    let mut open = vec![false; mentions.len()];
    let mut stack = vec![Level { start: range.start, parent: None, members: Vec::new(), open: false }];
    let mut too_deep = 0_usize;
    let mut next = 0;
    let mut last: Option<usize> = None;
    for (offset, byte) in norm.as_bytes()[range.clone()].iter().enumerate() {
        let at = range.start + offset;
        while next < mentions.len() && mentions[next].start <= at {
            if let Some(level) = stack.last_mut() {
                level.members.push(next);
            }
            last = Some(next);
            next += 1;
        }
        match byte {
            b'(' if stack.len() < DEPTH_MAX => {
                // A bracket explains the term it follows, if it follows closely.
                let parent = last.filter(|last| at >= mentions[*last].end && at - mentions[*last].end <= 6);
                let is_open = starts_open(&norm[at + 1..range.end], lexicon);
                stack.push(Level { start: at + 1, parent, members: Vec::new(), open: is_open });
            }
            b'(' => too_deep += 1,
            b')' if too_deep > 0 => too_deep -= 1,
            b')' if stack.len() > 1 => {
                if let Some(level) = stack.pop() {
                    close(text, level, at, mentions, (lexicon, ontology), &mut open, edges);
                }
            }
            _ => {}
        }
    }
    while let Some(level) = stack.pop() {
        close(text, level, range.end, mentions, (lexicon, ontology), &mut open, edges);
    }
    open
}

fn starts_open(rest: &str, lexicon: &Lexicon) -> bool {
    lexicon.open_start.iter().any(|word| rest.starts_with(word.as_str()))
}

/// Ends a level: marks its members and adds its edges.
fn close(
    text: &Text<'_>,
    level: Level,
    end: usize,
    mentions: &[Mention],
    (lexicon, ontology): (&Lexicon, &Ontology),
    open: &mut [bool],
    edges: &mut Vec<LocalEdge>,
) {
    let members = &level.members;
    let mut from = 0;
    for (at, index) in members.iter().enumerate() {
        // 等 closes the run of members before it.
        let after_end = members.get(at + 1).map_or(end, |next| mentions[*next].start);
        let after = &text.norm[mentions[*index].end.min(after_end)..after_end];
        if ends_open(after, lexicon) {
            members[from..=at].iter().for_each(|member| open[*member] = true);
            from = at + 1;
        } else if after.contains(['。', ';', '\n']) {
            from = at + 1;
        }
    }
    if level.open {
        members.iter().for_each(|member| open[*member] = true);
    }
    if let Some(parent) = level.parent {
        add_edges(text, &mentions[parent], members, mentions, ontology, (level.start, end), edges);
    }
    inclusions(text, members, mentions, (lexicon, ontology), open, edges);
}

fn ends_open(after: &str, lexicon: &Lexicon) -> bool {
    lexicon.open_end.iter().any(|word| {
        after.strip_prefix(word.as_str()).is_some_and(|rest| {
            !rest.starts_with(['级', '候', '待', '效', '同'])
                && (!word.is_ascii() || !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        })
    })
}

/// `A包括B、C` at one level: edges from A to what follows up to the end of the sentence.
fn inclusions(
    text: &Text<'_>,
    members: &[usize],
    mentions: &[Mention],
    (lexicon, ontology): (&Lexicon, &Ontology),
    open: &mut [bool],
    edges: &mut Vec<LocalEdge>,
) {
    for (at, index) in members.iter().enumerate() {
        let Some(next) = members.get(at + 1) else { return };
        let between = &text.norm[mentions[*index].end.min(mentions[*next].start)..mentions[*next].start];
        let head = between.trim_start_matches([',', ':', '主', '要']);
        let Some(word) = lexicon.includes.iter().chain(&lexicon.example).find(|word| head.starts_with(word.as_str()))
        else {
            continue;
        };
        if between.chars().count() > 12 {
            continue;
        }
        let mut run = vec![*next];
        for pair in members[at + 1..].windows(2).take(PARTS_MAX) {
            let gap = &text.norm[mentions[pair[0]].end.min(mentions[pair[1]].start)..mentions[pair[1]].start];
            if gap.len() > 24 || gap.contains(['。', ';', '\n', ',']) && !gap.starts_with([',', ')']) {
                break;
            }
            run.push(pair[1]);
        }
        if lexicon.open_start.contains(word) {
            run.iter().for_each(|member| open[*member] = true);
        }
        let end = run.last().map_or(0, |last| mentions[*last].end);
        add_edges(text, &mentions[*index], &run, mentions, ontology, (mentions[*index].start, end), edges);
    }
}

fn add_edges(
    text: &Text<'_>,
    parent: &Mention,
    members: &[usize],
    mentions: &[Mention],
    ontology: &Ontology,
    (start, end): (usize, usize),
    edges: &mut Vec<LocalEdge>,
) {
    let span = text.span(text.raw_range(start..end.max(start)));
    for broad in parent.types.iter().filter(|broad| !ontology.children(broad.as_str()).is_empty()) {
        for child in members.iter().flat_map(|member| mentions[*member].types.iter()) {
            let known = edges.iter().rev().take(64).any(|edge| edge.parent == *broad && edge.child == *child);
            if edges.len() < EDGES_MAX && child != broad && !known && !ontology.subsumes(child, broad) {
                edges.push(LocalEdge { parent: broad.clone(), child: child.clone(), span });
            }
        }
    }
}
