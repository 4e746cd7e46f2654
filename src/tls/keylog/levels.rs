//! Tables of secrets of which copies share what they had in common: what is added after a copy was made goes into a new
//! table, and tables are joined so that there are never more than a few, as in a log-structured merge tree.

use super::line::Line;
use super::table::Table;
use crate::model::KeySource;
use std::sync::Arc;

/// Secrets in a few tables.
#[derive(Debug, Clone, Default)]
pub(super) struct Levels {
    /// Oldest first, each more than twice as large as the next.
    tables: Vec<Arc<Table>>,
}

impl Levels {
    pub(super) fn tables(&self) -> &[Arc<Table>] {
        &self.tables
    }

    pub(super) fn insert(&mut self, source: KeySource, line: &Line) -> Result<(), String> {
        if self.tables.last_mut().is_none_or(|last| Arc::get_mut(last).is_none()) {
            self.join_tables();
            self.tables.push(Arc::default());
        }
        match self.tables.last_mut().and_then(Arc::get_mut) {
            Some(table) => table.insert(source, line),
            None => Ok(()),
        }
    }

    /// Joins the last tables while they are of about one size, so that an entry moves only a few times.
    fn join_tables(&mut self) {
        while let [.., before, last] = self.tables.as_slice()
            && before.len() <= 2 * last.len()
        {
            let joined = before.joined(last);
            self.tables.truncate(self.tables.len() - 2);
            self.tables.push(Arc::new(joined));
        }
    }
}
