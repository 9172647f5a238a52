//! The chart `charts/assay`: what helm makes of it, and what its documents say.

pub mod helm;
pub mod settings;
pub mod values;

use std::path::PathBuf;

pub use helm::{Rendered, helm, rendered};

/// The chart's folder.
pub fn folder() -> PathBuf {
    root().join("charts/assay")
}

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
