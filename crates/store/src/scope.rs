//! What of the record a caller may see and change.
//!
//! It is said twice. The statements name tenant and owner in their conditions; and a store that is
//! [confined](crate::Store::within) runs each of them in a transaction under the role [`ROLE`], to which row-level
//! security shows and lets change no more than that, whatever a condition forgets.

use std::collections::BTreeSet;

/// The role under which confined statements run; see `0014_tenancy.sql` for what it sees.
pub(crate) const ROLE: &str = "assay_gateway";

/// What of the record a caller may see and change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything.
    #[default]
    All,
    /// What belongs to a tenant.
    Tenant(String),
    /// What one subject of a tenant has handed in, and what came of it.
    Owner {
        /// The tenant.
        tenant: String,
        /// The subject.
        owner: String,
    },
}

impl Scope {
    /// The tenant outside of which nothing exists.
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Scope::All => None,
            Scope::Tenant(tenant) | Scope::Owner { tenant, .. } => Some(tenant),
        }
    }

    /// The subject besides whose things nothing exists.
    pub fn owner(&self) -> Option<&str> {
        match self {
            Scope::All | Scope::Tenant(_) => None,
            Scope::Owner { owner, .. } => Some(owner),
        }
    }
}

/// Every owner, in the setting that names them.
const ANY_OWNER: &str = "*";

/// What begins a transaction that sees no more than all of these scopes together: one message to Postgres. `None` when one
/// of them is everything, which needs no transaction.
pub(crate) fn beginning<'s>(scopes: impl IntoIterator<Item = &'s Scope>) -> Option<String> {
    let (mut tenants, mut owners) = (BTreeSet::new(), BTreeSet::new());
    for scope in scopes {
        tenants.insert(scope.tenant()?.to_owned());
        owners.insert(scope.owner().map_or_else(|| ANY_OWNER.to_owned(), |owner| format!("={owner}")));
    }
    Some(format!(
        "BEGIN; SET LOCAL ROLE {ROLE}; SET LOCAL assay.tenants = {}; SET LOCAL assay.owners = {}",
        literal(&array(&tenants)),
        literal(&array(&owners)),
    ))
}

/// An array as Postgres writes it. What Postgres cannot store is no tenant's and no owner's, and left out.
fn array(elements: &BTreeSet<String>) -> String {
    let quoted = |text: &String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let storable = elements.iter().filter(|text| !text.contains('\0'));
    format!("{{{}}}", storable.map(quoted).collect::<Vec<_>>().join(","))
}

/// A text as a literal that means the same whatever `standard_conforming_strings` and `backslash_quote` say.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(tenant: &str, owner: &str) -> Scope {
        Scope::Owner { tenant: tenant.to_owned(), owner: owner.to_owned() }
    }

    #[test]
    fn whoever_may_see_everything_needs_no_transaction() {
        assert_eq!(beginning([&Scope::All]), None);
        assert_eq!(beginning([&owner("a", "b"), &Scope::All]), None);
    }

    #[test]
    fn callers_that_share_a_commit_see_what_all_of_them_may() {
        let begun = beginning([&owner("a", "ann"), &Scope::Tenant("b".to_owned()), &owner("a", "ann")]);
        assert_eq!(
            begun.as_deref(),
            Some(
                "BEGIN; SET LOCAL ROLE assay_gateway; SET LOCAL assay.tenants = E'{\"a\",\"b\"}'; \
                 SET LOCAL assay.owners = E'{\"*\",\"=ann\"}'"
            )
        );
    }

    #[test]
    fn a_name_cannot_end_its_own_quotation() {
        let array = array(&BTreeSet::from([r#"a",'"#.to_owned(), r"b\".to_owned(), "c\0".to_owned()]));
        assert_eq!(array, r#"{"a\",'","b\\"}"#);
        assert_eq!(literal(&array), r#"E'{"a\\",''","b\\\\"}'"#);
    }
}
