//! Rubrics, read from Postgres once each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::rubric::Rubric;
use serde_json::Value;
use store::Work;

use crate::held::Holding;
use crate::records::Records;
use crate::scoring::ScoringError;

/// How many are kept. Beyond it all are dropped, since so many are no one's working set.
const MOST_KEPT: usize = 256;

/// The rubrics in use, by version. A version is the hash of what it says, and never changes.
#[derive(Debug, Default)]
pub(crate) struct Rubrics {
    kept: Mutex<HashMap<String, Arc<Rubric>>>,
}

impl Rubrics {
    /// The rubric of a job. `None` when the claim was lost, or the process had to end, before Postgres answered.
    pub(crate) async fn of(
        &self,
        work: &Work,
        records: &Records,
        holding: &Holding,
    ) -> Option<Result<Arc<Rubric>, ScoringError>> {
        if let Some(rubric) = self.lock().get(&work.rubric_version) {
            return Some(Ok(rubric.clone()));
        }
        let spec = records.rubric_spec(holding, &work.rubric, &work.rubric_version).await?;
        let rubric = read(work, spec);
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
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Rubric>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(work: &Work, spec: Option<String>) -> Result<Arc<Rubric>, ScoringError> {
    let invalid = |reason: &dyn std::fmt::Display| {
        ScoringError::invalid_rubric(format!("rubric {} {}: {reason}", work.rubric, work.rubric_version))
    };
    let spec = spec.ok_or_else(|| invalid(&"there is no such version"))?;
    let spec: Value = serde_json::from_str(&spec).map_err(|error| invalid(&error))?;
    Ok(Arc::new(Rubric::from_json(&spec).map_err(|error| invalid(&error))?))
}
