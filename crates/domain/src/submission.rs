//! The content of a submission: what may be stored, and what the scorer reads.
//!
//! The gateway parses content before it stores it, the scorer after it has read it, both through this module. What
//! passes can be stored in a Postgres JSONB column and comes back the same.

mod language;
mod path;
mod reader;

use std::borrow::Cow;

use serde_json::Value;

pub use language::{Language, UnknownLanguage};

/// How many files one submission may hold.
pub const MAX_FILES: usize = 500;

/// The path under which the text of `code` appears in feedback.
pub const CODE_PATH: &str = "code";

/// The path under which the text of `documentation` appears in feedback.
pub const DOCUMENTATION_PATH: &str = "documentation";

/// What was submitted, borrowed from the JSON where that holds the text unescaped.
///
/// Read from `{language?, files: [{path, text}], documentation?}` or `{language?, code, documentation?}`. Other fields
/// are left to the client, as long as Postgres can store them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content<'a> {
    language: Option<Language>,
    files: Vec<File<'a>>,
}

/// One text of a submission: a file, or the value of `code` or `documentation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// The path as submitted, or [`CODE_PATH`] or [`DOCUMENTATION_PATH`].
    pub path: Cow<'a, str>,
    /// The whole text.
    pub text: Cow<'a, str>,
    /// What the text is taken for.
    pub kind: FileKind,
}

/// What a file is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Source code in this language: by the file's extension, or as declared for `code` and for a file without extension.
    Source(Language),
    /// The value of `code` where no language was declared: the scorer takes the one that fits best.
    UndeclaredSource,
    /// Text for people: `documentation`, and files ending in `.md`, `.markdown`, `.rst` or `.txt` or named README.
    Document,
    /// A file in no language that can be scored. Kept, not parsed.
    Other,
}

/// The content cannot be stored or scored; the message names the field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidContent(String);

impl<'a> Content<'a> {
    /// Reads content from JSON text, copying only texts that hold escapes.
    pub fn from_slice(json: &'a [u8]) -> Result<Content<'a>, InvalidContent> {
        serde_json::from_slice(json).map_err(|error| InvalidContent(error.to_string()))
    }

    /// Reads content from parsed JSON, copying nothing.
    pub fn from_json(json: &'a Value) -> Result<Content<'a>, InvalidContent> {
        serde::Deserialize::deserialize(json)
            .map_err(|error: serde_json::Error| InvalidContent(error.to_string()))
    }

    /// The language as declared by the client.
    pub fn language(&self) -> Option<Language> {
        self.language
    }

    /// Every text, in the order submitted; `documentation` comes last.
    pub fn files(&self) -> &[File<'a>] {
        &self.files
    }

    /// The length of all texts together.
    pub fn total_bytes(&self) -> usize {
        self.files.iter().map(|file| file.text.len()).sum()
    }

    /// The same content, independent of the JSON it was read from.
    pub fn into_owned(self) -> Content<'static> {
        let own = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        let files = self.files.into_iter();
        Content {
            language: self.language,
            files: files.map(|f| File { path: own(f.path), text: own(f.text), kind: f.kind }).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(json: Value) -> String {
        let from_value = Content::from_json(&json).expect_err("should be refused").to_string();
        let bytes = json.to_string();
        let from_bytes = Content::from_slice(bytes.as_bytes()).expect_err("should be refused").to_string();
        let place = from_bytes.rfind(" at line ").unwrap_or(from_bytes.len());
        assert_eq!(from_value, from_bytes[..place], "both readers say the same");
        from_value
    }

    fn kinds(json: &Value) -> Vec<(String, FileKind)> {
        let content = Content::from_json(json).expect("valid content");
        content.files().iter().map(|file| (file.path.to_string(), file.kind)).collect()
    }

    #[test]
    fn code_with_documentation_is_read() {
        let json = json!({"language": "Python", "code": "x = 1\n", "documentation": "# Doc"});
        let content = Content::from_json(&json).unwrap();
        assert_eq!(content.language(), Some(Language::Python));
        assert_eq!(content.files()[0].text, "x = 1\n");
        assert_eq!(content.files()[0].kind, FileKind::Source(Language::Python));
        assert_eq!(content.files()[1].kind, FileKind::Document);
        assert_eq!(content.total_bytes(), 11);
        let bytes = json.to_string();
        assert_eq!(Content::from_slice(bytes.as_bytes()).unwrap(), content);
        assert_eq!(content.clone().into_owned(), content);
    }

    #[test]
    fn code_without_language_is_left_to_the_scorer() {
        let json = json!({"code": "f1e2d3", "documentation": "x"});
        assert_eq!(kinds(&json)[0].1, FileKind::UndeclaredSource);
    }

    #[test]
    fn files_are_sorted_by_their_extension() {
        let json = json!({"files": [
            {"path": "a.py", "text": "x"}, {"path": "src/b.MJS", "text": ""}, {"path": "README", "text": "x"},
            {"path": "c.c", "text": "x"}, {"path": "docs/d.rst", "text": "x"}, {"path": "e", "text": "x"},
        ]});
        let found: Vec<_> = kinds(&json).into_iter().map(|(_, kind)| kind).collect();
        use FileKind::*;
        assert_eq!(
            found,
            [Source(Language::Python), Source(Language::JavaScript), Document, Other, Document, Other]
        );
    }

    #[test]
    fn declared_language_serves_files_without_extension_only() {
        let json = json!({"language": "go", "files": [{"path": "solve", "text": "x"}, {"path": "a.py", "text": "x"}]});
        let found: Vec<_> = kinds(&json).into_iter().map(|(_, kind)| kind).collect();
        assert_eq!(found, [FileKind::Source(Language::Go), FileKind::Source(Language::Python)]);
    }

    #[test]
    fn documentation_may_stand_beside_files() {
        let json = json!({"files": [{"path": "a.py", "text": "x"}], "documentation": "How to run it"});
        assert_eq!(kinds(&json)[1], ("documentation".to_owned(), FileKind::Document));
    }

    #[test]
    fn null_counts_as_left_out() {
        let json = json!({"language": null, "files": null, "code": "x", "documentation": null});
        assert_eq!(kinds(&json).len(), 1);
    }

    #[test]
    fn neither_files_nor_code_is_refused() {
        assert_eq!(refusal(json!({"language": "go"})), "content needs `files` or `code`");
        assert_eq!(refusal(json!({"documentation": "x"})), "content needs `files` or `code`");
        assert_eq!(refusal(json!({"code": "x", "files": []})), "content takes `files` or `code`, not both");
    }

    #[test]
    fn wrong_types_are_named_with_their_field() {
        assert_eq!(refusal(json!([])), "invalid type: sequence, expected content to be an object");
        assert_eq!(refusal(json!({"code": 1})), "invalid type: integer `1`, expected `code` to be text");
        assert_eq!(
            refusal(json!({"files": [{"path": "a", "text": "x"}, {"path": true, "text": "x"}]})),
            "invalid type: boolean `true`, expected `files[1].path` to be text"
        );
        assert_eq!(
            refusal(json!({"files": ["a.py"]})),
            "invalid type: string \"a.py\", expected `files[0]` to be an object with `path` and `text`"
        );
        assert_eq!(refusal(json!({"files": [{"path": "a.py"}]})), "`files[0].text` is missing");
        assert_eq!(refusal(json!({"files": [{"text": "x"}]})), "`files[0].path` is missing");
    }

    #[test]
    fn unknown_language_is_refused_with_the_known_ones() {
        assert_eq!(
            refusal(json!({"language": "cobol", "code": "x"})),
            "`language`: \"cobol\" cannot be scored; known are python, javascript, go, rust"
        );
    }

    #[test]
    fn paths_that_leave_the_folder_are_refused() {
        let file = |path: &str| json!({"files": [{"path": path, "text": "x"}]});
        for path in ["/etc/passwd", "..", "a/../b", "\\x", "a\\..\\b", "C:\\x", "c:/x", "", "a\nb"] {
            let message = refusal(file(path));
            assert!(message.starts_with("`files[0].path` "), "{path:?}: {message}");
        }
        for path in ["..a/b..", "a b/ü.py", ".github/x.py", "./a.py", "a..py"] {
            assert!(Content::from_json(&file(path)).is_ok(), "{path:?}");
        }
    }

    #[test]
    fn one_path_given_twice_is_refused() {
        assert_eq!(
            refusal(json!({"files": [{"path": "a/b.py", "text": "x"}, {"path": "./a//b.py", "text": "y"}]})),
            "`files[1].path` \"./a//b.py\" names the same file as an earlier one"
        );
    }

    #[test]
    fn too_many_files_are_refused() {
        let files =
            |n: usize| (0..n).map(|i| json!({"path": format!("{i}.py"), "text": "x"})).collect::<Vec<_>>();
        assert_eq!(
            refusal(json!({"files": files(MAX_FILES + 1)})),
            "`files` holds more than 500 files, which is the limit"
        );
        assert!(Content::from_json(&json!({"files": files(MAX_FILES)})).is_ok());
    }

    #[test]
    fn nul_characters_are_refused_wherever_they_stand() {
        assert!(refusal(json!({"code": "a\0b"})).starts_with("`code` holds a NUL character"));
        assert!(refusal(json!({"code": "a", "note": {"x": ["\0"]}})).contains("NUL character"));
        assert!(refusal(json!({"code": "a", "note": {"\0": 1}})).contains("NUL character"));
    }

    #[test]
    fn text_without_anything_to_score_is_refused() {
        for json in [json!({"code": ""}), json!({"code": " \n\u{feff}"}), json!({"files": []})] {
            assert!(refusal(json).contains("nothing to score"));
        }
    }

    #[test]
    fn fields_of_the_client_are_let_through() {
        assert!(
            Content::from_json(&json!({"code": "x", "course": {"id": 7, "tags": ["a", null, 1.5]}})).is_ok()
        );
    }

    #[test]
    fn field_given_twice_is_refused() {
        let error = Content::from_slice(br#"{"code":"a","code":"b"}"#).unwrap_err().to_string();
        assert!(error.starts_with("`code` is given twice"), "{error}");
    }

    #[test]
    fn lone_surrogates_are_refused_because_postgres_cannot_hold_them() {
        assert!(Content::from_slice(br#"{"code":"\ud800"}"#).is_err());
        assert!(Content::from_slice(br#"{"code":"a","note":"\ud800"}"#).is_err());
    }
}
