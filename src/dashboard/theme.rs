//! How things look: few colours of the terminal's own sixteen (so that they suit a light and a dark background),
//! and never colour alone: a mark is a letter, a selection is reversed, a highlight is underlined.

use super::matrix::CellMark;
use crate::model::Severity;
use ratatui::style::{Color, Modifier, Style};

/// Whether to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// Unless the environment variable `NO_COLOR` is set to something.
    #[default]
    Auto,
    /// Bold, underlined and reversed only.
    Never,
}

/// The styles of the dashboard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Theme {
    coloured: bool,
}

impl Theme {
    /// With the colours of the terminal.
    pub(crate) const fn coloured() -> Self {
        Self { coloured: true }
    }

    /// Without colour.
    pub(crate) const fn plain() -> Self {
        Self { coloured: false }
    }

    fn tinted(self, colour: Color) -> Style {
        if self.coloured { Style::new().fg(colour) } else { Style::new() }
    }

    /// Ordinary text.
    pub(crate) const fn text(self) -> Style {
        Style::new()
    }

    /// Text of less weight.
    pub(crate) const fn muted(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Titles.
    pub(crate) const fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The chosen tab, row or cell.
    pub(crate) const fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The words or bytes that prove something.
    pub(crate) fn highlight(self) -> Style {
        self.tinted(Color::Magenta).add_modifier(Modifier::BOLD).add_modifier(Modifier::UNDERLINED)
    }

    /// Something went wrong.
    pub(crate) fn alarm(self) -> Style {
        self.tinted(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// A mark of the matrix.
    pub(crate) fn mark(self, mark: CellMark) -> Style {
        match mark {
            CellMark::Clear => self.tinted(Color::Green),
            CellMark::Vague => self.tinted(Color::Cyan),
            CellMark::Ambiguous => self.tinted(Color::Magenta),
            CellMark::Incorrect | CellMark::Omitted => self.alarm(),
            CellMark::Unreadable => self.tinted(Color::Blue),
            CellMark::NoPolicy => self.text(),
            CellMark::DeclaredOnly => self.muted(),
        }
    }

    /// How grave a finding is.
    pub(crate) fn severity(self, severity: Severity) -> Style {
        match severity {
            Severity::High => self.alarm(),
            Severity::Medium => self.tinted(Color::Magenta),
            Severity::Low => self.tinted(Color::Cyan),
            Severity::Note => self.muted(),
        }
    }
}
