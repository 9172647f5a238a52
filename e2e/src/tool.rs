//! Programs of others that tests use.

use std::env;
use std::path::PathBuf;

/// Where a program is: where this variable says, where `hack/setup.sh tests` brought it, or installed on this machine.
pub fn tool(name: &str, variable: &str) -> PathBuf {
    let given = env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let brought = testkit::cache_folder().map(|cache| cache.join("bin").join(name));
    let brought = brought.filter(|program| program.is_file());
    given.or(brought).unwrap_or_else(|| PathBuf::from(name))
}
