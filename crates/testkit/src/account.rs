//! The ordinary account that servers run as when we are root: Postgres refuses to run as root, and nothing else needs to.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use anyhow::{Context, Result};

/// An account of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Id of its first group.
    pub gid: u32,
}

impl Account {
    /// The account for servers to run as: none (our own) unless we are root, else the first of these that
    /// exists, else `nobody`.
    pub fn for_servers(preferred: &[&str]) -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
        preferred
            .iter()
            .chain(&["nobody"])
            .find_map(|name| Self::find(&passwd, name))
            .map(Some)
            .with_context(|| format!("no ordinary account to run a server as: none of {preferred:?}, nobody"))
    }

    fn find(passwd: &str, name: &str) -> Option<Self> {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let fields: Vec<&str> = line.split(':').collect();
        Some(Self {
            name: name.to_owned(),
            uid: fields.get(2)?.parse().ok()?,
            gid: fields.get(3)?.parse().ok()?,
        })
    }

    /// Whether this account can get to a folder, that is, may pass through everything above it.
    pub fn can_reach(&self, folder: &Path) -> bool {
        folder.ancestors().skip(1).all(|above| match fs::metadata(above) {
            Ok(metadata) => {
                let mode = metadata.permissions().mode();
                mode & 0o001 != 0 || (metadata.uid() == self.uid && mode & 0o100 != 0)
            }
            // Not there yet: it will be made by us, with the usual permissions.
            Err(_) => true,
        })
    }

    /// Makes a folder that belongs to this account alone.
    pub fn own_folder(&self, folder: &Path) -> Result<()> {
        let describe = || format!("give {} to {}", folder.display(), self.name);
        fs::create_dir_all(folder).with_context(describe)?;
        chown(folder, Some(self.uid), Some(self.gid)).with_context(describe)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).with_context(describe)
    }
}
