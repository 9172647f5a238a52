//! Puts findings into words for the person who submitted.

use std::fmt::Write as _;

use domain::report::MAX_FEEDBACK_BYTES;
use domain::submission::{Content, FileKind, Language};

use super::criteria::Finding;
use super::facts::FileFacts;

/// Room that is kept for the notes at the end.
const ROOM_FOR_NOTES: usize = 2048;

/// How many files one note names.
const MAX_NAMED: usize = 10;

/// Feedback: the score, what to change with what gains the most first, and notes. `findings` carry points.
pub(super) fn compose(score: f64, mut findings: Vec<Finding>, notes: &[String]) -> String {
    findings.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    let mut text = format!("Score: {score} of 100.\n");
    if findings.is_empty() {
        text.push_str("\nEvery criterion is met; nothing to change.\n");
    } else {
        text.push_str("\nWhat to change, with the points to gain:\n");
    }
    for (index, finding) in findings.iter().enumerate() {
        let line = clean(&format!("{}. (+{}) {}", index + 1, points(finding.gain), finding.text));
        if text.len() + line.len() > MAX_FEEDBACK_BYTES - ROOM_FOR_NOTES {
            push_line(&mut text, &format!("… and {} more of less weight.", findings.len() - index));
            break;
        }
        push_line(&mut text, &line);
    }
    if !notes.is_empty() {
        text.push_str("\nNotes:\n");
        notes.iter().for_each(|note| push_line(&mut text, &format!("- {}", clean(note))));
    }
    text
}

/// What else the person should know about how the submission was read.
pub(super) fn notes(content: &Content<'_>, files: &[FileFacts]) -> Vec<String> {
    let mut notes = Vec::new();
    for file in files.iter().filter(|file| file.guessed) {
        let language = file.language;
        notes.push(format!(
            "No language was given for {}: it was read as {language}, which fits best. Give `language` to be sure.",
            file.path
        ));
    }
    let other: Vec<_> = content.files().iter().filter(|file| file.kind == FileKind::Other).collect();
    if !other.is_empty() {
        let named =
            other.iter().take(MAX_NAMED).map(|file| shortened(&file.path)).collect::<Vec<_>>().join(", ");
        let more = if other.len() > MAX_NAMED {
            format!(" and {} more", other.len() - MAX_NAMED)
        } else {
            String::new()
        };
        let known = Language::ALL.map(Language::title).join(", ");
        notes.push(format!("Not parsed, because only {known} can be: {named}{more}."));
    }
    notes
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// Two significant places are enough to compare; less than a hundredth is not nothing.
fn points(gain: f64) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = if gain < 0.01 { write!(text, "<0.01") } else { write!(text, "{gain:.2}") };
    text
}

fn shortened(path: &str) -> String {
    const MAX_CHARS: usize = 100;
    match path.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &path[..end]),
        None => path.to_owned(),
    }
}

/// Text from a submission must not smuggle line breaks or terminal sequences into what a person reads.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
