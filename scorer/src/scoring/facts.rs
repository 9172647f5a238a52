//! What is found in one source file.

use domain::submission::Language;

/// All that criteria ask about a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileFacts {
    pub(super) path: String,
    pub(super) language: Language,
    /// Whether the language was guessed from the text.
    pub(super) guessed: bool,
    /// Lines that hold code: not blank, not comment or docstring only.
    pub(super) code_lines: usize,
    /// Lines with a token that fits nowhere in the grammar.
    pub(super) broken_lines: usize,
    /// The bytes of such tokens.
    pub(super) broken_bytes: usize,
    /// Where it does not parse: the first few places.
    pub(super) breaks: Vec<Break>,
    pub(super) functions: Vec<Function>,
    pub(super) items: Vec<Item>,
    /// What documentation of an item is called in this language.
    pub(super) documentation: &'static str,
}

/// A place where a file does not parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Break {
    /// From 1.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) column: usize,
    pub(super) problem: Problem,
}

/// What is wrong at such a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// This text fits nowhere.
    Unexpected(String),
    /// This is missing.
    Missing(String),
    /// This bracket has no counterpart.
    Unclosed(char),
}

/// A function, or the code of a file that stands in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// As written; `None` for the code outside of functions.
    pub(super) name: Option<String>,
    /// Where it begins, from 1.
    pub(super) line: usize,
    /// Lines of code, without those of functions inside it.
    pub(super) length: usize,
    /// The deepest nesting of control structures.
    pub(super) nesting: usize,
    /// Where that is, from 1.
    pub(super) deepest_line: usize,
    /// Cyclomatic complexity after McCabe (1976): 1 + decision points. These are: `if`, `elif`, `else if`, `?:`, loops
    /// with a condition or an iterator, each `case` but the one that takes the rest, `catch` and `except`, the parts
    /// of a comprehension, guards, `let … else`, and the short-circuit operators `&&`, `||`, `and`, `or`, `??`.
    pub(super) complexity: usize,
}

/// A public item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) name: String,
    /// From 1.
    pub(super) line: usize,
    pub(super) documented: bool,
}
