//! Folders for what servers keep.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Removes the folder once its owner has let go of the pipe, by dropping it or by dying. The servers in it are
/// ended by the same event, so the first tries may find them still writing.
const REMOVE_AT_END: &str = r#"
read -r _
tries=0
until rm -rf "$1" 2>/dev/null; do
    tries=$((tries + 1)); [ "$tries" -lt 100 ] || exit 1
    sleep 0.1
done
"#;

/// Writes a file that nobody else may read.
pub(crate) fn write_secret(file: &Path, text: &str) -> Result<()> {
    let describe = || format!("write {}", file.display());
    fs::write(file, text).with_context(describe)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).with_context(describe)
}

/// A folder that is removed when it is dropped or when this process ends, in whatever way.
#[derive(Debug)]
pub struct TempFolder {
    path: PathBuf,
    /// Its standard input is the pipe whose end tells it to remove the folder.
    remover: Child,
}

impl TempFolder {
    /// A new folder below the system's one for temporary files, which every account can pass through.
    pub fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("assay-test-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
        let remover = Command::new("sh")
            .args(["-c", REMOVE_AT_END, "remove-at-end"])
            .arg(&path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Its own process group: Ctrl-C in a terminal must not end it before its work is done.
            .process_group(0)
            .spawn()
            .context("start the shell that removes a temporary folder")?;
        Ok(Self { path, remover })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        drop(self.remover.stdin.take());
    }
}

/// A short name for a path: the same for the same path, different for others.
pub(crate) fn short_name(path: &Path) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    format!("{:012x}", hasher.finish() & 0xffff_ffff_ffff)
}

/// A program in `PATH`.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Where this project keeps what is expensive to get: `ASSAY_CACHE_DIR`, else `assay` in the user's cache folder.
pub fn cache_folder() -> Option<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("ASSAY_CACHE_DIR")
        .or_else(|| from("XDG_CACHE_HOME").map(|cache| cache.join("assay")))
        .or_else(|| from("HOME").map(|home| home.join(".cache/assay")))
}
