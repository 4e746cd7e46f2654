//! Geometry shared by update (which must know how many rows are in view) and the views: where header, tabs, body and
//! footer lie at a size, and which columns of a table fit. Pure arithmetic.

use ratatui::layout::Rect;

/// The parts of the whole screen; a part there is no room for has height 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chrome {
    /// What is looked at, and totals.
    pub(crate) header: Rect,
    /// The names of the screens.
    pub(crate) tabs: Rect,
    /// The screen or what lies over it.
    pub(crate) body: Rect,
    /// Key hints.
    pub(crate) footer: Rect,
}

/// The parts at a size.
pub(crate) fn chrome(area: Rect) -> Chrome {
    let (header, tabs, footer) = match area.height {
        0..4 => (0, 0, 0),
        4..8 => (0, 1, 0),
        8..14 => (1, 1, 1),
        14.. => (2, 1, 1),
    };
    let (header, rest) = split(area, header);
    let (tabs, rest) = split(rest, tabs);
    let (body, footer) = split(rest, rest.height - footer.min(rest.height));
    Chrome { header, tabs, body, footer }
}

/// The first `rows` rows, and the others.
pub(crate) fn split(area: Rect, rows: u16) -> (Rect, Rect) {
    let rows = rows.min(area.height);
    let first = Rect { height: rows, ..area };
    (first, Rect { y: area.y + rows, height: area.height - rows, ..area })
}

/// The parts of a screen that lists rows: the titles of the columns, the rows, and details of the selected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct List {
    /// Titles of the columns.
    pub(crate) titles: Rect,
    /// The rows.
    pub(crate) rows: Rect,
    /// Details of the selected row; its first row is a rule.
    pub(crate) details: Rect,
}

/// The parts of a list, with `titles` rows of titles and `details` rows of details where there is room.
pub(crate) fn list(body: Rect, titles: u16, details: u16) -> List {
    let titles = if body.height > titles + 1 { titles } else { u16::from(body.height > 3) };
    let (titles, rest) = split(body, titles);
    let details = if rest.height >= details + 4 { details } else { 0 };
    let (rows, details) = split(rest, rest.height - details);
    List { titles, rows, details }
}

/// The two panes of a proof: beside each other where it is wide enough, else above each other.
pub(crate) fn panes(body: Rect) -> [Rect; 2] {
    /// Narrowest body whose panes stand side by side.
    const SIDE_BY_SIDE: u16 = 72;
    if body.width >= SIDE_BY_SIDE {
        let left = body.width / 2 - 1;
        let right = Rect { x: body.x + left + 2, width: body.width - left - 2, ..body };
        return [Rect { width: left, ..body }, right];
    }
    let (top, bottom) = split(body, body.height / 2);
    [top, bottom]
}

/// How wide a column of a table is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Width {
    /// Always this.
    Fixed(u16),
    /// At least this, and a part of what is left.
    Share(u16),
}

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableColumn {
    /// Its title.
    pub(crate) title: &'static str,
    /// How wide it is.
    pub(crate) width: Width,
    /// When it goes: the highest first, 0 never.
    pub(crate) rank: u8,
    /// Which side its text keeps to.
    pub(crate) align: Align,
}

/// The side a text keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// To the left; what does not fit goes at the end.
    Left,
    /// To the left; what does not fit goes at the start, as the end of a host says most.
    Tail,
    /// To the right.
    Right,
}

/// The columns that fit, by their place in `columns`, with their widths; one blank lies between two.
pub(crate) fn fit_columns(columns: &[TableColumn], width: u16) -> Vec<(usize, u16)> {
    let least = |column: &TableColumn| match column.width {
        Width::Fixed(width) | Width::Share(width) => width,
    };
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let total =
        |kept: &[usize]| kept.iter().map(|&at| u32::from(least(&columns[at])) + 1).sum::<u32>().saturating_sub(1);
    while total(&kept) > u32::from(width) {
        let Some(drop) = (0..kept.len()).rev().max_by_key(|&at| columns[kept[at]].rank) else { break };
        if columns[kept[drop]].rank == 0 {
            break;
        }
        kept.remove(drop);
    }
    let mut spare = u32::from(width).saturating_sub(total(&kept));
    let mut shares = kept.iter().filter(|&&at| matches!(columns[at].width, Width::Share(_))).count();
    let widths = kept.iter().map(|&at| match columns[at].width {
        Width::Fixed(width) => (at, width),
        Width::Share(least) => {
            let part = spare.div_ceil(u32::try_from(shares.max(1)).unwrap_or(1));
            spare -= part;
            shares -= 1;
            (at, least.saturating_add(u16::try_from(part).unwrap_or(u16::MAX)))
        }
    });
    widths.collect()
}

#[cfg(test)]
mod tests {
    use super::{Align, TableColumn, Width, chrome, fit_columns, list, panes};
    use ratatui::layout::Rect;

    fn column(width: Width, rank: u8) -> TableColumn {
        TableColumn { title: "", width, rank, align: Align::Left }
    }

    #[test]
    fn the_parts_cover_the_screen_at_any_size() {
        for (width, height) in (1..60).flat_map(|height| [(1, height), (40, height), (200, height)]) {
            let area = Rect::new(0, 0, width, height);
            let parts = chrome(area);
            let sum = parts.header.height + parts.tabs.height + parts.body.height + parts.footer.height;
            assert_eq!(sum, height);
            assert!(parts.body.height > 0);
            let lists = list(parts.body, 2, 3);
            assert_eq!(lists.titles.height + lists.rows.height + lists.details.height, parts.body.height);
            assert!(lists.rows.height > 0);
            for pane in panes(parts.body) {
                assert!(parts.body.union(pane) == parts.body);
            }
        }
    }

    #[test]
    fn columns_go_by_rank_and_the_rest_share_what_is_left() {
        let columns = [column(Width::Fixed(10), 2), column(Width::Share(10), 0), column(Width::Fixed(5), 1)];
        assert_eq!(fit_columns(&columns, 40), [(0, 10), (1, 23), (2, 5)]);
        assert_eq!(fit_columns(&columns, 20), [(1, 14), (2, 5)]);
        assert_eq!(fit_columns(&columns, 12), [(1, 12)]);
        assert_eq!(fit_columns(&columns, 3), [(1, 10)]);
    }
}
