//! What is wrong with the policy itself, as far as it is beyond doubt: references to clauses that don't exist, SDKs
//! named in a table without data, lists too long to keep.

use super::layout::Block;
use super::statement::{DATA_MAX, Draft};
use super::table::{Page, Table};
use super::text::Text;
use crate::model::Defect;
use regex::Regex;
use rustc_hash::FxHashSet;
use std::sync::LazyLock;

/// Most defects of one kind reported.
const DEFECTS_MAX: usize = 200;

static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:部分|本(?:政策|指引|协议|声明)第?|详见第?|参见第?|见第?)[“””]*(\d{1,2}(?:\.\d{1,2})+)")
        .expect("invariant: a fixed pattern")
});

/// The defects of one document.
pub(super) fn find(
    text: &Text<'_>,
    blocks: &[Block],
    drafts: &[Draft],
    page: &Page<'_>,
    tables: &[Table],
) -> Vec<Defect> {
    let mut defects = dangling(text, blocks);
    defects.extend(silent_rows(page, drafts, tables));
    defects.extend(cut_lists(text, drafts));
    defects
}

/// References to numbered clauses that aren't there.
fn dangling(text: &Text<'_>, blocks: &[Block]) -> Vec<Defect> {
    let numbers: FxHashSet<&str> = blocks.iter().map(|block| block.number.as_str()).collect();
    if !numbers.iter().any(|number| number.contains('.')) {
        return Vec::new();
    }
    let mut defects = Vec::new();
    for block in blocks {
        for found in REFERENCE.captures_iter(&text.norm[block.start..block.end]) {
            let Some(number) = found.get(1).filter(|number| !numbers.contains(number.as_str())) else { continue };
            if defects.len() == DEFECTS_MAX {
                return defects;
            }
            let at = block.start + number.start()..block.start + number.end();
            defects.push(Defect {
                code: "dangling-reference".to_owned(),
                message: format!("clause {} refers to {}, which doesn't exist", block.clause, number.as_str()),
                spans: vec![text.span(text.raw_range(at))],
            });
        }
    }
    defects
}

/// Statements with more data than is kept.
fn cut_lists(text: &Text<'_>, drafts: &[Draft]) -> Vec<Defect> {
    let cut = drafts.iter().filter(|draft| draft.data.len() >= DATA_MAX).take(DEFECTS_MAX);
    cut.map(|draft| Defect {
        code: "list-cut".to_owned(),
        message: format!("clause {} names more than {DATA_MAX} items of data; the rest was not read", draft.clause),
        spans: vec![text.span(text.raw_range(draft.range.clone()))],
    })
    .collect()
}

/// Rows of SDK tables that say nothing about data.
fn silent_rows(page: &Page<'_>, drafts: &[Draft], tables: &[Table]) -> Vec<Defect> {
    let said: FxHashSet<usize> = drafts.iter().map(|draft| draft.range.start).collect();
    let rows = tables.iter().flat_map(|table| &table.records).filter(|record| !said.contains(&record.range.start));
    rows.filter_map(|record| record.name.clone())
        .take(DEFECTS_MAX)
        .map(|name| Defect {
            code: "sdk-without-data".to_owned(),
            message: format!(
                "{} is listed without a data type that could be read",
                page.text.raw_str(name.clone()).trim()
            ),
            spans: vec![page.text.span(page.text.raw_range(name))],
        })
        .collect()
}
