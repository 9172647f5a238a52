//! Collects where a file does not parse, in words.

use tree_sitter::Node;

use super::facts::{Break, Problem};

/// How many places are described. Later ones are usually echoes of the first.
const MAX_DESCRIBED: usize = 3;

/// How many characters of the text are shown.
const MAX_SHOWN: usize = 40;

/// The places found so far.
#[derive(Default)]
pub(super) struct Breaks<'tree> {
    found: Vec<Break>,
    bytes: usize,
    /// Errors whose children are being visited.
    open: Vec<OpenError<'tree>>,
    /// Brackets in open errors that have no counterpart yet.
    brackets: Vec<Node<'tree>>,
}

struct OpenError<'tree> {
    /// Its place in the list, if it is described.
    described: Option<usize>,
    /// Where its brackets begin.
    brackets: usize,
    /// Its first token. What the grammar could still put together before it is not to blame.
    first: Option<Node<'tree>>,
    /// Its first closing bracket that closes nothing.
    stray: Option<Node<'tree>>,
}

impl<'tree> Breaks<'tree> {
    /// The bytes of tokens that fit nowhere, for comparing how badly a text fits.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The described places, in the order of the text. A bracket that is never closed makes what is before it look
    /// broken as well: then the places begin with it.
    pub(super) fn into_found(mut self) -> Vec<Break> {
        self.found.sort_by_key(|place| (place.line, place.column));
        let unclosed = self.found.iter().position(|place| matches!(place.problem, Problem::Unclosed(_)));
        self.found.split_off(unclosed.unwrap_or(0))
    }

    /// Something that the grammar wants here is not there.
    pub(super) fn missing(&mut self, node: Node<'tree>, text: &str) {
        self.bytes += 1;
        self.describe(node, text, |node, _| {
            Problem::Missing(node.kind().replace('_', " ").trim().to_owned())
        });
    }

    /// An error without parts.
    pub(super) fn unexpected(&mut self, node: Node<'tree>, text: &str) {
        self.describe(node, text, shown);
    }

    /// An error whose parts follow.
    pub(super) fn open(&mut self, node: Node<'tree>, text: &str) {
        let described = self.describe(node, text, shown);
        self.open.push(OpenError { described, brackets: self.brackets.len(), first: None, stray: None });
    }

    /// A token that is directly part of the error opened last.
    pub(super) fn token(&mut self, token: Node<'tree>) {
        self.bytes += token.end_byte() - token.start_byte();
        let Some(error) = self.open.last_mut().filter(|error| error.described.is_some()) else { return };
        error.first = error.first.or(Some(token));
        match token.kind() {
            "(" | "[" | "{" => self.brackets.push(token),
            ")" | "]" | "}" if self.brackets.len() > error.brackets => drop(self.brackets.pop()),
            ")" | "]" | "}" => error.stray = error.stray.or(Some(token)),
            _ => {}
        }
    }

    /// The parts of the error opened last are done. A bracket without counterpart explains it best.
    pub(super) fn close(&mut self, text: &str) {
        let Some(error) = self.open.pop() else { return };
        let left_over = self.brackets.get(error.brackets).copied();
        self.brackets.truncate(error.brackets);
        let place = error.described.and_then(|index| self.found.get_mut(index));
        let Some(place) = place else { return };
        if let Some(stray) = error.stray {
            *place = located(stray, text, Problem::Unexpected(stray.kind().to_owned()));
        } else if let Some(bracket) = left_over {
            let kind = bracket.kind().chars().next().unwrap_or('(');
            *place = located(bracket, text, Problem::Unclosed(kind));
        } else if let Some(first) = error.first {
            *place = located(first, text, shown(first, text));
        }
    }

    fn describe(
        &mut self,
        node: Node<'tree>,
        text: &str,
        problem: impl FnOnce(Node<'tree>, &str) -> Problem,
    ) -> Option<usize> {
        // Finding a column takes a look at the whole line: done for the few that are described.
        (self.found.len() < MAX_DESCRIBED).then(|| {
            self.found.push(located(node, text, problem(node, text)));
            self.found.len() - 1
        })
    }
}

fn located(node: Node<'_>, text: &str, problem: Problem) -> Break {
    let start = node.start_position();
    let before = node.start_byte().saturating_sub(start.column)..node.start_byte();
    let column = text.get(before).map_or(start.column, |before| before.chars().count());
    Break { line: start.row + 1, column: column + 1, problem }
}

/// The beginning of what stands at a node.
fn shown(node: Node<'_>, text: &str) -> Problem {
    let rest = text.get(node.start_byte()..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    let end = line.char_indices().nth(MAX_SHOWN).map_or(line.len(), |(at, _)| at);
    let cut = if end < line.len() { "…" } else { "" };
    Problem::Unexpected(format!("{}{cut}", line[..end].trim_end()))
}
