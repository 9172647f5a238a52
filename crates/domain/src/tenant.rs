//! Names of tenants.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
const LONGEST: usize = 253;

/// The name of a tenant: a school, a course, a team; whatever must not see another's submissions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tenant(String);

impl Tenant {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Tenant("default".to_owned())
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text cannot name a tenant. The text itself is left out: it may be as long as a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a tenant has 1 to {LONGEST} bytes and no control characters")]
pub struct InvalidTenant;

impl FromStr for Tenant {
    type Err = InvalidTenant;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for Tenant {
    type Error = InvalidTenant;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let valid = (1..=LONGEST).contains(&text.len()) && !text.contains(char::is_control);
        if valid { Ok(Tenant(text)) } else { Err(InvalidTenant) }
    }
}

impl From<Tenant> for String {
    fn from(tenant: Tenant) -> Self {
        tenant.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_log_line_can_show_names_a_tenant() {
        for valid in ["default", "Schule Süd", "a/b", &"x".repeat(LONGEST)] {
            assert_eq!(valid.parse::<Tenant>().map(String::from).as_deref(), Ok(valid));
        }
        for invalid in ["", "a\0", "a\nb", "\u{7f}", &"x".repeat(LONGEST + 1)] {
            assert_eq!(invalid.parse::<Tenant>(), Err(InvalidTenant), "{invalid:?}");
        }
    }
}
