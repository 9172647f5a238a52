//! What a genuine token says of its bearer.

use clap::Args;
use domain::Tenant;
use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::caller::{Caller, Role};

/// The longest subject, in bytes: the bound that OpenID Connect sets for issuers.
const LONGEST_SUBJECT: usize = 255;

/// Where a token says who bears it. A name that begins with `/` is a JSON Pointer, for claims within others, such as
/// `/realm_access/roles`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ClaimFlags {
    /// The claim that names the caller's tenant; one that begins with `/` is a JSON Pointer.
    #[arg(long, env = "ASSAY_AUTH_TENANT_CLAIM", default_value = "tenant")]
    auth_tenant_claim: String,
    /// The claim that tells callers of a tenant apart.
    #[arg(long, env = "ASSAY_AUTH_SUBJECT_CLAIM", default_value = "sub")]
    auth_subject_claim: String,
    /// The claim that says what the caller may do: learner, instructor or admin. Of a list, the highest counts. Without
    /// the claim the caller is a learner.
    #[arg(long, env = "ASSAY_AUTH_ROLE_CLAIM", default_value = "role")]
    auth_role_claim: String,
    /// The tenant of callers whose token names none; they are refused unless it is given.
    #[arg(long, env = "ASSAY_AUTH_DEFAULT_TENANT")]
    auth_default_tenant: Option<Tenant>,
}

impl ClaimFlags {
    /// As rules.
    pub(super) fn rules(&self) -> ClaimRules {
        ClaimRules(self.clone())
    }
}

/// How callers are placed.
pub(super) struct ClaimRules(ClaimFlags);

impl ClaimRules {
    /// Who bears a token that says this.
    ///
    /// # Errors
    /// When it says too little, or what we do not know: it is better to refuse than to guess.
    pub(super) fn caller(&self, claims: &Value) -> Result<Caller, Refusal> {
        let ClaimFlags {
            auth_tenant_claim: tenant_claim,
            auth_subject_claim: subject_claim,
            auth_role_claim: role_claim,
            auth_default_tenant: default_tenant,
        } = &self.0;
        let tenant = match claim(claims, tenant_claim) {
            None => default_tenant.clone(),
            Some(value) => {
                let tenant = value.as_str().and_then(|name| name.parse().ok());
                Some(tenant.ok_or_else(|| unusable(tenant_claim, "cannot be the name of a tenant"))?)
            }
        };
        let tenant = tenant.ok_or_else(|| missing(tenant_claim))?;
        let subject = claim(claims, subject_claim).ok_or_else(|| missing(subject_claim))?;
        let subject = subject.as_str().filter(|name| is_subject(name)).ok_or_else(|| {
            unusable(subject_claim, "is no text of 1 to 255 bytes without control characters")
        })?;
        // The least that one can be; whoever issues tokens without roles has given none.
        let role = claim(claims, role_claim).map_or(Some(Role::Learner), highest_role);
        let role = role.ok_or_else(|| unusable(role_claim, "is none of learner, instructor and admin"))?;
        Ok(Caller { tenant: tenant.into(), subject: subject.to_owned(), role })
    }

    /// Writes claims that say this.
    ///
    /// # Errors
    /// When one stands within another in a way that leaves no room for it.
    pub(super) fn write(&self, caller: &Caller, claims: &mut Map<String, Value>) -> Result<(), String> {
        let ClaimFlags {
            auth_tenant_claim: tenant_claim,
            auth_subject_claim: subject_claim,
            auth_role_claim: role_claim,
            ..
        } = &self.0;
        let role = caller.role.as_str().to_owned();
        let said = [
            (subject_claim, caller.subject.clone()),
            (tenant_claim, caller.tenant.clone()),
            (role_claim, role),
        ];
        for (name, value) in said {
            let room = room(claims, name).ok_or_else(|| format!("there is no room for the claim {name}"))?;
            *room = Value::String(value);
        }
        Ok(())
    }
}

/// Whether this can tell a caller from others.
pub(crate) fn is_subject(text: &str) -> bool {
    (1..=LONGEST_SUBJECT).contains(&text.len()) && !text.contains(char::is_control)
}

fn missing(claim: &str) -> Refusal {
    Refusal::Unplaced(format!("it lacks the claim {claim}."))
}

fn unusable(claim: &str, why: &str) -> Refusal {
    Refusal::Unplaced(format!("its claim {claim} {why}."))
}

fn claim<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    let found = if name.starts_with('/') { claims.pointer(name) } else { claims.get(name) };
    found.filter(|value| !value.is_null())
}

/// Of a text or a list of texts, the highest role. Whatever else a list has in it is no role of ours.
fn highest_role(value: &Value) -> Option<Role> {
    match value {
        Value::String(name) => name.parse().ok(),
        Value::Array(names) => names.iter().filter_map(|name| name.as_str()?.parse().ok()).max(),
        _ => None,
    }
}

/// Where a claim goes, with the objects that it stands in.
fn room<'a>(claims: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Value> {
    let Some(path) = name.strip_prefix('/') else {
        return Some(claims.entry(name).or_insert(Value::Null));
    };
    let names: Vec<String> = path.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    let (last, outer) = names.split_last()?;
    let mut within = claims;
    for name in outer {
        within = within.entry(name).or_insert_with(|| Value::Object(Map::new())).as_object_mut()?;
    }
    Some(within.entry(last).or_insert(Value::Null))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(tenant: &str, role: &str, default_tenant: Option<&str>) -> ClaimRules {
        ClaimRules(ClaimFlags {
            auth_tenant_claim: tenant.to_owned(),
            auth_subject_claim: "sub".to_owned(),
            auth_role_claim: role.to_owned(),
            auth_default_tenant: default_tenant.map(|name| name.parse().expect("a tenant")),
        })
    }

    fn placed(claims: Value) -> Result<Caller, Refusal> {
        rules("tenant", "role", None).caller(&claims)
    }

    fn caller(tenant: &str, subject: &str, role: Role) -> Caller {
        Caller { tenant: tenant.to_owned(), subject: subject.to_owned(), role }
    }

    #[test]
    fn a_caller_is_placed_by_three_claims() {
        let claims = json!({"tenant": "algebra", "sub": "ada", "role": "instructor"});
        assert_eq!(placed(claims), Ok(caller("algebra", "ada", Role::Instructor)));
    }

    #[test]
    fn a_caller_without_a_role_is_a_learner_and_one_with_an_unknown_role_is_refused() {
        assert_eq!(placed(json!({"tenant": "a", "sub": "b"})), Ok(caller("a", "b", Role::Learner)));
        for role in [json!("root"), json!("Admin"), json!(7), json!([]), json!(["offline_access"])] {
            let refused = placed(json!({"tenant": "a", "sub": "b", "role": role}));
            assert!(matches!(refused, Err(Refusal::Unplaced(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_caller_without_a_usable_tenant_or_subject_is_refused() {
        for claims in [
            json!({"sub": "b"}),
            json!({"tenant": "", "sub": "b"}),
            json!({"tenant": "a\n", "sub": "b"}),
            json!({"tenant": ["a"], "sub": "b"}),
            json!({"tenant": "a"}),
            json!({"tenant": "a", "sub": ""}),
            json!({"tenant": "a", "sub": 7}),
            json!({"tenant": "a", "sub": "x".repeat(256)}),
        ] {
            assert!(matches!(placed(claims.clone()), Err(Refusal::Unplaced(_))), "{claims}");
        }
    }

    #[test]
    fn a_tenant_may_be_given_to_those_who_name_none_but_not_to_those_who_name_a_bad_one() {
        let rules = rules("tenant", "role", Some("school"));
        assert_eq!(rules.caller(&json!({"sub": "b"})), Ok(caller("school", "b", Role::Learner)));
        assert!(rules.caller(&json!({"sub": "b", "tenant": ""})).is_err());
    }

    #[test]
    fn claims_within_others_are_found_and_the_highest_role_of_a_list_counts() {
        let rules = rules("/org/name", "/realm_access/roles", None);
        let claims = json!({
            "org": {"name": "algebra"}, "sub": "ada",
            "realm_access": {"roles": ["offline_access", "learner", "instructor"]}
        });
        assert_eq!(rules.caller(&claims), Ok(caller("algebra", "ada", Role::Instructor)));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (tenant, role) in
            [("tenant", "role"), ("/org/name", "/org/role"), ("https://assay.dev/t", "/a~1b")]
        {
            let rules = rules(tenant, role, None);
            let (mut claims, caller) = (Map::new(), caller("algebra", "ada", Role::Admin));
            rules.write(&caller, &mut claims).expect("room");
            assert_eq!(rules.caller(&Value::Object(claims)), Ok(caller), "{tenant} {role}");
        }
        assert!(rules("sub", "/sub/x", None).write(&caller("a", "b", Role::Admin), &mut Map::new()).is_err());
    }
}
