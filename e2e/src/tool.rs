//! Programs of others that tests use.

use std::env;
use std::path::PathBuf;

/// Where a program is: where this variable says, where `hack/setup.sh tests` brought it, or installed on this machine.
pub fn tool(name: &str, variable: &str) -> PathBuf {
    let given = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = given("ASSAY_CACHE_DIR").or_else(|| {
        let home = || Some(given("HOME")?.join(".cache"));
        Some(given("XDG_CACHE_HOME").or_else(home)?.join("assay"))
    });
    let brought = cache.map(|cache| cache.join("bin").join(name)).filter(|program| program.is_file());
    given(variable).or(brought).unwrap_or_else(|| PathBuf::from(name))
}
