//! The ignored folder `.dev`: what it holds, and what it says about the stack that runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use testkit::{Place, Process};

use crate::settings::Settings;

/// The folder `.dev` of this checkout.
pub(crate) struct DotDev {
    root: PathBuf,
}

impl DotDev {
    /// The one of the checkout that this program was built from.
    pub(crate) fn of_this_checkout() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Ok(Self { root: root.canonicalize().context("find the root of the checkout")? })
    }

    /// Root of the checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> PathBuf {
        self.root.join(".dev")
    }

    /// All that is in it but what `make cluster` keeps there, which ends by `make cluster-down`.
    pub(crate) fn contents(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder()).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name() != "cluster").map(|entry| entry.path()).collect()
    }

    /// What people and scripts source to reach the stack.
    pub(crate) fn env_file(&self) -> PathBuf {
        self.folder().join("env")
    }

    /// There while a cluster of kind's exists that we created.
    pub(crate) fn kind_marker(&self) -> PathBuf {
        self.folder().join("kind-cluster-is-ours")
    }

    /// Where processes keep their things.
    pub(crate) fn place(&self) -> Place {
        Place::detached(&self.folder())
    }

    /// Waits until no other `dev up` or `dev down` of this checkout runs; they go on once the lock is dropped.
    pub(crate) fn lock(&self) -> Result<File> {
        // The folder of the checkout, since .dev itself comes and goes.
        let root = File::open(&self.root).context("open the root of the checkout")?;
        root.lock().context("lock the checkout")?;
        Ok(root)
    }

    /// The settings of the stack that runs, or ran.
    pub(crate) fn settings(&self) -> Option<Settings> {
        serde_json::from_str(&fs::read_to_string(self.settings_file()).ok()?).ok()
    }

    /// Remembers the settings.
    pub(crate) fn write_settings(&self, settings: &Settings) -> Result<()> {
        fs::create_dir_all(self.folder()).context("make .dev")?;
        let text = serde_json::to_string_pretty(settings)?;
        fs::write(self.settings_file(), text).context("remember the settings in .dev")
    }

    /// All processes that were started here: name, and the process if it still runs.
    pub(crate) fn processes(&self) -> Vec<(String, Option<Process>)> {
        let Ok(records) = fs::read_dir(self.folder().join("processes")) else {
            return Vec::new();
        };
        let place = self.place();
        let mut processes: Vec<_> = records
            .flatten()
            .map(|record| {
                let name = record.file_name().to_string_lossy().into_owned();
                let process = place.launch(&name, "").adopt();
                (name, process)
            })
            .collect();
        processes.sort_by(|(one, _), (other, _)| one.cmp(other));
        processes
    }

    /// Forgets the ports, so that a stack none of whose processes runs any more gets free ones.
    pub(crate) fn forget_ports(&self) {
        let _was_there = fs::remove_dir_all(self.place().data.join("ports"));
    }

    fn settings_file(&self) -> PathBuf {
        self.folder().join("settings.json")
    }
}
