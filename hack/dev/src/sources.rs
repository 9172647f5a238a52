//! Source files to submit, and the documentation that goes with each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Endings of files in the languages that Assay scores.
const ENDINGS: [&str; 4] = ["py", "js", "go", "rs"];

/// Folders that hold what others wrote, or what was generated.
const SKIPPED_FOLDERS: [&str; 6] = ["target", "node_modules", "vendor", "venv", "__pycache__", "dist"];

/// Larger ones are no hand-written source, and would come near the gateway's limit for a body.
const LARGEST: u64 = 512 * 1024;

/// A source file to submit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// Path below the folder that was asked for.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
    /// The nearest README.md at or above it, inside the folder.
    pub(crate) documentation: String,
}

/// The source files below a folder: those that git knows, where the folder is a checkout, else all.
pub(crate) fn find(folder: &Path) -> Result<Vec<Source>> {
    if !folder.is_dir() {
        bail!("{} is not a folder", folder.display());
    }
    let mut paths = known_to_git(folder).unwrap_or_default();
    if paths.is_empty() {
        walk(folder, Path::new(""), &mut paths)?;
    }
    paths.sort();
    let mut sources = Vec::new();
    for path in paths.iter().filter(|path| is_source(path)) {
        let file = folder.join(path);
        // A file that git knows may have been deleted since.
        let Ok(metadata) = fs::metadata(&file) else {
            continue;
        };
        if metadata.len() > LARGEST {
            println!("{} is left out: {} KiB", path.display(), metadata.len() / 1024);
            continue;
        }
        let bytes = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        sources.push(Source {
            path: path.to_string_lossy().into_owned(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            documentation: documentation(folder, path),
        });
    }
    if sources.is_empty() {
        bail!("{} holds no source file (.{})", folder.display(), ENDINGS.join(", ."));
    }
    Ok(sources)
}

fn is_source(path: &Path) -> bool {
    path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| ENDINGS.contains(&ending))
}

fn known_to_git(folder: &Path) -> Option<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(folder)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| text.split_terminator('\0').map(PathBuf::from).collect())
}

fn walk(folder: &Path, below: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let here = folder.join(below);
    for entry in fs::read_dir(&here).with_context(|| format!("list {}", here.display()))? {
        let entry = entry.with_context(|| format!("list {}", here.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = below.join(&name);
        // Links are not followed: they may lead in a circle.
        let kind = entry.file_type().with_context(|| format!("look at {}", path.display()))?;
        if kind.is_dir() && !name.starts_with('.') && !SKIPPED_FOLDERS.contains(&name.as_str()) {
            walk(folder, &path, paths)?;
        } else if kind.is_file() {
            paths.push(path);
        }
    }
    Ok(())
}

fn documentation(folder: &Path, path: &Path) -> String {
    let nearest = path
        .ancestors()
        .skip(1)
        .map(|above| folder.join(above).join("README.md"))
        .find(|file| file.is_file());
    nearest
        .and_then(|file| fs::read(file).ok())
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_file_comes_with_the_nearest_readme() {
        let folder = testkit::TempFolder::new().unwrap();
        let write = |path: &str, text: &str| {
            let file = folder.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("README.md", "top");
        write("one.py", "x = 1");
        write("deep/README.md", "deep");
        write("deep/er/two.go", "package two");
        write("node_modules/other.js", "1");
        write("notes.txt", "no source");

        let found = find(folder.path()).unwrap();

        let seen: Vec<_> =
            found.iter().map(|source| (source.path.as_str(), source.documentation.as_str())).collect();
        assert_eq!(seen, [("deep/er/two.go", "deep"), ("one.py", "top")]);
    }
}
