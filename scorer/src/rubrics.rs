//! Rubrics, read from Postgres and compiled once each.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use domain::rubric::Rubric;
use serde_json::Value;
use store::Work;
use tokio::task::spawn_blocking;

use crate::engine::panicked;
use crate::held::Holding;
use crate::records::Records;
use crate::scoring::{CompiledRubric, ScoringError};

/// How many are kept. Beyond it all are dropped, since so many are no one's working set.
const MOST_KEPT: usize = 256;

/// The rubrics in use, by version. A version is the hash of what it says, and never changes.
#[derive(Debug, Default)]
pub(crate) struct Rubrics {
    kept: Mutex<HashMap<String, Arc<CompiledRubric>>>,
}

impl Rubrics {
    /// The rubric of a job. `None` when the claim was lost, or the process had to end, before Postgres answered.
    pub(crate) async fn of(
        &self,
        work: &Work,
        records: &Records,
        holding: &Holding,
    ) -> Option<Result<Arc<CompiledRubric>, ScoringError>> {
        if let Some(rubric) = self.lock().get(&work.rubric_version) {
            return Some(Ok(rubric.clone()));
        }
        let spec = records.rubric_spec(holding, &work.rubric, &work.rubric_version).await?;
        let (name, version) = (work.rubric.clone(), work.rubric_version.clone());
        // Compiling may take longer than leases and other jobs should wait for.
        let compiling = spawn_blocking(move || compiled(&name, &version, spec.as_deref()));
        let rubric = compiling.await.unwrap_or_else(|_| Err(panicked()));
        if let Ok(rubric) = &rubric {
            let mut kept = self.lock();
            if kept.len() >= MOST_KEPT {
                kept.clear();
            }
            kept.insert(work.rubric_version.clone(), rubric.clone());
        }
        Some(rubric)
    }

    // The map is whole after each single operation, so a panic elsewhere does not spoil it.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<CompiledRubric>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn compiled(name: &str, version: &str, spec: Option<&str>) -> Result<Arc<CompiledRubric>, ScoringError> {
    let invalid = |reason: &dyn fmt::Display| {
        ScoringError::invalid_rubric(format!("rubric {name} {version}: {reason}"))
    };
    let spec = spec.ok_or_else(|| invalid(&"there is no such version"))?;
    let spec: Value = serde_json::from_str(spec).map_err(|error| invalid(&error))?;
    let rubric = Rubric::from_json(&spec).map_err(|error| invalid(&error))?;
    Ok(Arc::new(CompiledRubric::compile(&rubric)?))
}
