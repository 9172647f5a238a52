//! One spelling for each rubric, and the version made from it.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Criterion;

/// How many bytes of the hash make up a version.
const VERSION_BYTES: usize = 16;

/// The JSON of these criteria, with all defaults written out and sorted keys.
///
/// A field that is added to a criterion later must be left out here while it has its default, or the versions of all
/// stored rubrics would change.
pub(super) fn spec(criteria: &[Criterion]) -> Value {
    let list = criteria.iter().map(|criterion| sorted(criterion.to_json())).collect();
    Value::Object(Map::from_iter([("criteria".to_owned(), Value::Array(list))]))
}

/// The version of a spec.
pub(super) fn version(spec: &Value) -> String {
    let hash = Sha256::digest(spec.to_string());
    hash.iter().take(VERSION_BYTES).fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Sorts keys here, since serde_json keeps them sorted or as inserted, depending on features other crates turn on.
/// Criteria are flat, so one level is enough.
fn sorted(json: Value) -> Value {
    match json {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(entries.into_iter().collect())
        }
        other => other,
    }
}
