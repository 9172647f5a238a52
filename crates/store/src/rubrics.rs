//! Rubrics: immutable versions, and which of them new jobs get.

use domain::rubric::Rubric;

use crate::{Store, StoreError};

/// One version of a rubric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RubricVersion {
    /// The rubric's name.
    pub name: String,
    /// The hash of its canonical spec.
    pub version: String,
    /// The spec as JSON text.
    pub spec: String,
}

const ENSURE: &str = "
WITH item AS (
  SELECT DISTINCT ON (name) name, version, spec::jsonb AS spec
  FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS t (name, version, spec, ord)
  ORDER BY name, ord DESC
), stored AS (
  INSERT INTO rubrics (name, version, spec) SELECT name, version, spec FROM item ON CONFLICT DO NOTHING
)
INSERT INTO current_rubrics AS c (name, version) SELECT name, version FROM item
ON CONFLICT (name) DO UPDATE SET version = excluded.version, since = now() WHERE c.version <> excluded.version";

const ARE_CURRENT: &str = "
SELECT count(*) = cardinality($1::text[])
FROM unnest($1::text[], $2::text[]) AS t (name, version)
JOIN current_rubrics c ON c.name = ANY (ARRAY[t.name]) AND c.version = t.version";

const SPEC: &str = "
SELECT spec::text FROM rubrics WHERE name = $1 AND version = $2";

const CURRENT: &str = "
SELECT version FROM current_rubrics WHERE name = $1";

impl Store {
    /// Stores the rubrics that are built in.
    pub(crate) async fn ensure_builtin_rubrics(&self) -> Result<(), StoreError> {
        let builtins = Rubric::builtins().iter().map(|(name, rubric)| RubricVersion {
            name: (*name).to_owned(),
            version: rubric.version().to_owned(),
            spec: rubric.to_json().to_string(),
        });
        self.ensure_rubrics(&builtins.collect::<Vec<_>>()).await
    }

    /// Stores these versions if they are new, and makes each the one that new jobs of its name get. Writes nothing when
    /// they are that already, as at almost every start of a program.
    ///
    /// # Errors
    /// `Invalid` when a spec is not JSON.
    pub async fn ensure_rubrics(&self, rubrics: &[RubricVersion]) -> Result<(), StoreError> {
        let names: Vec<&str> = rubrics.iter().map(|r| r.name.as_str()).collect();
        let versions: Vec<&str> = rubrics.iter().map(|r| r.version.as_str()).collect();
        let are_current: Option<(bool,)> =
            self.optional(sqlx::query_as(ARE_CURRENT).bind(&names).bind(&versions)).await?;
        if are_current == Some((true,)) {
            return Ok(());
        }
        let specs: Vec<&str> = rubrics.iter().map(|r| r.spec.as_str()).collect();
        self.execute(sqlx::query(ENSURE).bind(names).bind(versions).bind(specs)).await.map(drop)
    }

    /// The spec of one version as JSON text. It never changes, so it may be cached for good.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn rubric_spec(&self, name: &str, version: &str) -> Result<Option<String>, StoreError> {
        let row: Option<(String,)> = self.optional(sqlx::query_as(SPEC).bind(name).bind(version)).await?;
        Ok(row.map(|(spec,)| spec))
    }

    /// The version that new jobs of this name get.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn current_rubric_version(&self, name: &str) -> Result<Option<String>, StoreError> {
        let row: Option<(String,)> = self.optional(sqlx::query_as(CURRENT).bind(name)).await?;
        Ok(row.map(|(version,)| version))
    }
}
