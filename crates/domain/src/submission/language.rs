//! The languages that can be scored.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A language that can be parsed and scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Python 3.
    Python,
    /// JavaScript, modules and JSX included.
    JavaScript,
    /// Go.
    Go,
    /// Rust.
    Rust,
}

impl Language {
    /// Every language. Where a text fits several equally well, the earlier one is taken.
    pub const ALL: [Language; 4] = [Language::Python, Language::JavaScript, Language::Go, Language::Rust];

    /// The name used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::JavaScript => "javascript",
            Language::Go => "go",
            Language::Rust => "rust",
        }
    }

    /// The name as people write it.
    pub fn title(self) -> &'static str {
        match self {
            Language::Python => "Python",
            Language::JavaScript => "JavaScript",
            Language::Go => "Go",
            Language::Rust => "Rust",
        }
    }

    /// The language that files with this extension are written in. Case does not matter.
    pub fn of_extension(extension: &str) -> Option<Language> {
        const EXTENSIONS: [(&str, Language); 8] = [
            ("py", Language::Python),
            ("pyi", Language::Python),
            ("js", Language::JavaScript),
            ("mjs", Language::JavaScript),
            ("cjs", Language::JavaScript),
            ("jsx", Language::JavaScript),
            ("go", Language::Go),
            ("rs", Language::Rust),
        ];
        EXTENSIONS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(extension))
            .map(|(_, language)| *language)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// The text names no language that can be scored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot be scored; known are {known}", known = Language::ALL.map(Language::as_str).join(", "))]
pub struct UnknownLanguage(String);

impl FromStr for Language {
    type Err = UnknownLanguage;

    /// Takes the name in any case, and the usual short forms.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "python" | "python3" | "py" => Ok(Language::Python),
            "javascript" | "js" => Ok(Language::JavaScript),
            "go" | "golang" => Ok(Language::Go),
            "rust" | "rs" => Ok(Language::Rust),
            _ => {
                // The name comes back to the client: no more of it than shows which one was meant.
                Err(UnknownLanguage(text.chars().take(40).collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_reads_back_from_its_names() {
        for language in Language::ALL {
            assert_eq!(language.as_str().parse(), Ok(language));
            assert_eq!(language.title().parse(), Ok(language));
            assert_eq!(serde_json::to_value(language).unwrap(), language.as_str());
        }
    }
}
