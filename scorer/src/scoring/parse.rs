//! Parses untrusted text, within a deadline.

use std::cell::RefCell;
use std::ops::ControlFlow;

use tree_sitter::{ParseOptions, ParseState, Parser, Tree};

use super::ScoringError;
use super::grammar::Grammar;
use super::limits::Deadline;

thread_local! {
    /// Kept, because a parser's buffers are worth more than a small file's parse.
    static PARSER: RefCell<Parser> = RefCell::new(Parser::new());
}

/// Parses a text. What does not fit the grammar is in the tree as errors.
pub(super) fn parse(grammar: &Grammar, text: &str, deadline: &Deadline) -> Result<Tree, ScoringError> {
    PARSER.with_borrow_mut(|parser| {
        parser
            .set_language(&grammar.parser)
            .map_err(|error| ScoringError::defect(format!("the {} grammar: {error}", grammar.language)))?;
        let bytes = text.as_bytes();
        let mut stop_at_deadline = |_: &ParseState| {
            if deadline.has_passed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let options = ParseOptions::new().progress_callback(&mut stop_at_deadline);
        let tree =
            parser.parse_with_options(&mut |at, _| bytes.get(at..).unwrap_or_default(), None, Some(options));
        if tree.is_none() {
            // It keeps its state, to go on where it stopped: the next text must not begin there.
            parser.reset();
        }
        deadline.check()?;
        tree.ok_or_else(|| ScoringError::defect("the parser gave up without a reason"))
    })
}
