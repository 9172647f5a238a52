//! Where servers keep their things, and for how long they live.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::launch::{Launch, Lifetime};
use crate::ports::free_port;

/// Folders and lifetime of the servers that belong together.
#[derive(Debug, Clone)]
pub struct Place {
    /// What servers keep: data, certificates.
    pub data: PathBuf,
    /// A log file for each process.
    pub logs: PathBuf,
    /// How long the processes live.
    pub lifetime: Lifetime,
}

impl Place {
    /// For tests: everything in one folder, and no process outlives this one.
    pub fn owned(folder: &Path) -> Self {
        Self { data: folder.join("data"), logs: folder.join("logs"), lifetime: Lifetime::Owned }
    }

    /// For processes that stay: what is written below the folder finds them again.
    pub fn detached(folder: &Path) -> Self {
        Self {
            data: folder.join("data"),
            logs: folder.join("logs"),
            lifetime: Lifetime::Detached { records: folder.join("processes") },
        }
    }

    /// A program to be started here under a name.
    pub fn launch(&self, name: &str, program: impl Into<PathBuf>) -> Launch {
        Launch::new(name, program, &self.logs, &self.lifetime)
    }

    /// A folder of its own for one server.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.data.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(folder)
    }

    /// The port that goes with a name: a free one, which for processes that stay is remembered.
    pub fn port(&self, name: &str) -> Result<u16> {
        if self.lifetime == Lifetime::Owned {
            return free_port();
        }
        let file = self.folder("ports")?.join(name);
        if let Some(port) = fs::read_to_string(&file).ok().and_then(|port| port.trim().parse().ok()) {
            return Ok(port);
        }
        let port = free_port()?;
        fs::write(&file, format!("{port}\n")).with_context(|| format!("write {}", file.display()))?;
        Ok(port)
    }
}
