//! Which lines of a file hold code.

/// Marks by row, counted from 0.
pub(super) struct Lines {
    marks: Vec<u8>,
}

const CODE: u8 = 1;
const BROKEN: u8 = 2;

impl Lines {
    pub(super) fn of(text: &str) -> Lines {
        let rows = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Lines { marks: vec![0; rows] }
    }

    /// Marks the rows that a token covers.
    pub(super) fn mark(&mut self, token: tree_sitter::Node<'_>, broken: bool) {
        let (start, end) = (token.start_position(), token.end_position());
        // A token that ends with a line break ends on the row after its last.
        let last = if end.column == 0 && end.row > start.row { end.row - 1 } else { end.row };
        let marks = if broken { CODE | BROKEN } else { CODE };
        let last = last.min(self.marks.len().saturating_sub(1));
        for row in self.marks.get_mut(start.row..=last).unwrap_or_default() {
            *row |= marks;
        }
    }

    pub(super) fn mark_broken(&mut self, row: usize) {
        if let Some(row) = self.marks.get_mut(row) {
            *row |= CODE | BROKEN;
        }
    }

    pub(super) fn broken(&self) -> usize {
        self.marks.iter().filter(|row| **row & BROKEN != 0).count()
    }

    /// Counts once, so that any range is then answered at once.
    pub(super) fn counted(&self) -> CountedLines {
        let mut before = Vec::with_capacity(self.marks.len() + 1);
        let mut count = 0;
        before.push(0);
        for row in &self.marks {
            count += usize::from(row & CODE != 0);
            before.push(count);
        }
        CountedLines { before }
    }
}

/// How many lines hold code, before each row.
pub(super) struct CountedLines {
    before: Vec<usize>,
}

impl CountedLines {
    pub(super) fn total(&self) -> usize {
        self.before.last().copied().unwrap_or_default()
    }

    /// Lines of code from one row to another, both included.
    pub(super) fn within(&self, first: usize, last: usize) -> usize {
        let at = |row: usize| self.before.get(row).copied().unwrap_or_else(|| self.total());
        at(last + 1).saturating_sub(at(first))
    }
}
