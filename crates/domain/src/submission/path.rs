//! Paths of submitted files: what they may be, and what they say about the file.

use std::borrow::Cow;

use super::{FileKind, Language};

/// The longest path that is accepted, in bytes.
const MAX_LENGTH: usize = 512;

/// Why a path is refused, as the end of a sentence that begins with the field's name.
pub(super) fn fault(path: &str) -> Option<&'static str> {
    let drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    if path.trim().is_empty() || path.ends_with(is_separator) {
        Some("names no file")
    } else if path.len() > MAX_LENGTH {
        Some("is longer than 512 bytes")
    } else if path.starts_with(is_separator) || drive {
        Some("is absolute; give it relative to the submission's folder")
    } else if path.split(is_separator).any(|part| part == "..") {
        Some("leaves the submission's folder with `..`")
    } else if path.chars().any(char::is_control) {
        Some("holds a control character")
    } else {
        None
    }
}

/// The path without parts that change nothing, so that two spellings of one file compare equal.
pub(super) fn normalized(path: &str) -> Cow<'_, str> {
    let changes_nothing = |part: &str| part.is_empty() || part == ".";
    if path.contains('\\') || path.split('/').any(changes_nothing) {
        let parts: Vec<_> = path.split(is_separator).filter(|part| !changes_nothing(part)).collect();
        Cow::Owned(parts.join("/"))
    } else {
        Cow::Borrowed(path)
    }
}

/// What a file of this path is, where the client declared this language.
///
/// The extension comes first: a submission declared as Python may hold a script in JavaScript beside it.
pub(super) fn kind(path: &str, declared: Option<Language>) -> FileKind {
    let name = path.rsplit(is_separator).next().unwrap_or(path);
    // A leading dot begins a hidden file's name, not an extension.
    match name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) {
        Some((_, extension)) => match Language::of_extension(extension) {
            Some(language) => FileKind::Source(language),
            None if ["md", "markdown", "rst", "txt"].iter().any(|e| e.eq_ignore_ascii_case(extension)) => {
                FileKind::Document
            }
            None => FileKind::Other,
        },
        None if name.eq_ignore_ascii_case("readme") => FileKind::Document,
        None => declared.map_or(FileKind::Other, FileKind::Source),
    }
}

fn is_separator(c: char) -> bool {
    c == '/' || c == '\\'
}
