//! Reads the source files of a submission.

use domain::submission::{Content, File, FileKind, Language};

use super::ScoringError;
use super::facts::FileFacts;
use super::grammar::Grammar;
use super::limits::Deadline;
use super::{parse, walk};

/// The facts of each source file in a known language. There must be at least one.
pub(super) fn read(content: &Content<'_>, deadline: &Deadline) -> Result<Vec<FileFacts>, ScoringError> {
    let mut files = Vec::new();
    for file in content.files() {
        match file.kind {
            FileKind::Source(language) => files.push(read_as(language, file, deadline)?),
            FileKind::UndeclaredSource => files.push(guess(file, deadline)?),
            FileKind::Document | FileKind::Other => {}
        }
    }
    if files.is_empty() {
        let known = Language::ALL.map(Language::title).join(", ");
        let message =
            format!("there is nothing to score: no file is in a language that can be scored ({known})");
        return Err(ScoringError::invalid_content(message));
    }
    Ok(files)
}

fn read_as(language: Language, file: &File<'_>, deadline: &Deadline) -> Result<FileFacts, ScoringError> {
    let grammar = Grammar::of(language);
    let text = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
    let tree = parse::parse(grammar, text, deadline)?;
    walk::measure(grammar, &file.path, text, &tree, deadline)
}

/// Reads a text in the language in which the least of it is broken; of several, in the first of [`Language::ALL`].
fn guess(file: &File<'_>, deadline: &Deadline) -> Result<FileFacts, ScoringError> {
    let [first, others @ ..] = Language::ALL;
    let mut best = read_as(first, file, deadline)?;
    for language in others {
        if best.broken_bytes == 0 {
            break;
        }
        let facts = read_as(language, file, deadline)?;
        if facts.broken_bytes < best.broken_bytes {
            best = facts;
        }
    }
    best.guessed = true;
    Ok(best)
}
