//! Collects the functions of a file, and what is counted in each.

use tree_sitter::Node;

use super::facts::Function;
use super::lines::CountedLines;

/// Stands for no function: the code outside of all.
pub(super) const OUTSIDE: u32 = u32::MAX;

/// The functions found so far.
#[derive(Default)]
pub(super) struct Functions {
    found: Vec<Open>,
    outside: Counts,
    /// The code outside of functions that runs when the file is loaded, as rows.
    scripts: Vec<(usize, usize)>,
}

struct Open {
    name: String,
    rows: (usize, usize),
    /// The function that it stands in.
    parent: u32,
    /// Whether it stands in code that runs when the file is loaded.
    in_script: bool,
    counts: Counts,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    decisions: i32,
    nesting: u32,
    deepest_row: usize,
}

impl Functions {
    pub(super) fn open(&mut self, node: Node<'_>, name: &str, parent: u32, in_script: bool) -> u32 {
        let counts = Counts { deepest_row: node.start_position().row, ..Counts::default() };
        self.found.push(Open { name: name.to_owned(), rows: rows(node), parent, in_script, counts });
        u32::try_from(self.found.len() - 1).unwrap_or(OUTSIDE)
    }

    pub(super) fn script(&mut self, node: Node<'_>) {
        self.scripts.push(rows(node));
    }

    pub(super) fn decide(&mut self, function: u32, decisions: i32) {
        self.counts(function).decisions += decisions;
    }

    pub(super) fn nest(&mut self, function: u32, depth: u32, row: usize) {
        let counts = self.counts(function);
        if depth > counts.nesting {
            (counts.nesting, counts.deepest_row) = (depth, row);
        }
    }

    /// Counts the lines of each, those of functions inside it taken off.
    pub(super) fn finish(self, lines: &CountedLines) -> Vec<Function> {
        let whole = |(first, last)| lines.within(first, last);
        let mut lengths: Vec<_> = self.found.iter().map(|one| whole(one.rows)).collect();
        let mut script_length: usize = self.scripts.iter().copied().map(whole).sum();
        for one in &self.found {
            match lengths.get_mut(one.parent as usize) {
                Some(outer) => *outer = outer.saturating_sub(whole(one.rows)),
                None if one.in_script => script_length = script_length.saturating_sub(whole(one.rows)),
                None => {}
            }
        }
        let script = self.scripts.first().filter(|_| script_length > 0);
        let script = script.map(|(first, _)| self.outside.function(None, *first, script_length));
        let named = self.found.into_iter().zip(lengths);
        let named = named.map(|(one, length)| one.counts.function(Some(one.name), one.rows.0, length));
        named.chain(script).collect()
    }

    fn counts(&mut self, function: u32) -> &mut Counts {
        self.found.get_mut(function as usize).map_or(&mut self.outside, |open| &mut open.counts)
    }
}

impl Counts {
    fn function(self, name: Option<String>, row: usize, length: usize) -> Function {
        Function {
            name,
            line: row + 1,
            // A function whose every line is shared with one inside it still has its own.
            length: length.max(1),
            nesting: self.nesting as usize,
            deepest_line: self.deepest_row.max(row) + 1,
            complexity: 1 + usize::try_from(self.decisions).unwrap_or_default(),
        }
    }
}

fn rows(node: Node<'_>) -> (usize, usize) {
    (node.start_position().row, node.end_position().row)
}
