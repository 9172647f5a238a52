//! What the documents say about the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// The paths of all files of the repository that are sources, with `/` between their parts.
fn sources(folder: &Path, found: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !["target", "node_modules"].contains(&name) && !name.starts_with('.') {
            sources(&path, found)?;
        } else if path.is_file() {
            found.insert(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_architecture_names_only_files_and_tests_that_exist() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let mut files = BTreeSet::new();
    sources(&root, &mut files)?;
    let of_tests = files.iter().filter(|file| file.contains("/tests/") && file.ends_with(".rs"));
    let tests = of_tests.map(fs::read_to_string).collect::<std::io::Result<Vec<String>>>()?.concat();

    let text = fs::read_to_string(root.join("docs/ARCHITECTURE.md"))?;
    let lost = text.split("## What is lost").nth(1).and_then(|rest| rest.split("\n## ").next());
    let quoted =
        |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    for name in quoted(&text) {
        let is_file = [".rs", ".lua", ".sql"].iter().any(|ending| name.ends_with(ending));
        let exists = || files.iter().any(|file| file.ends_with(&format!("/{name}")));
        ensure!(!is_file || exists(), "there is no file {name}");
    }
    let facts: Vec<String> =
        quoted(lost.context("the table")?).into_iter().filter(|name| !name.contains(['.', '/'])).collect();
    ensure!(facts.len() > 10, "too few tests are named: {facts:?}");
    for fact in facts {
        ensure!(tests.contains(&format!("async fn {fact}(")), "there is no test {fact}");
    }
    Ok(())
}
