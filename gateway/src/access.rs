//! What a caller may see and do. `docs/ARCHITECTURE.md` has the table, and `tests/gateway/access.rs` tries all of it.
//!
//! What is out of a caller's scope is answered as if it did not exist; what its role may never do is refused as such.

use store::{Scope, Store};

use crate::app::App;
use crate::authentication::is_subject;
use crate::caller::{Caller, Role};
use crate::problem::{Code, Problem};

impl Caller {
    /// What they may see and change.
    pub(crate) fn scope(&self) -> Scope {
        let tenant = self.tenant.clone();
        match self.role {
            Role::Learner => Scope::Owner { tenant, owner: self.subject.clone() },
            Role::Instructor => Scope::Tenant(tenant),
            Role::Admin => Scope::All,
        }
    }

    /// Under which name they own what they hand in; none while nobody is asked who they are.
    pub(crate) fn owner(&self) -> Option<&str> {
        (*self != Caller::anyone()).then_some(&self.subject)
    }

    /// Who they are, in the record.
    pub(crate) fn name(&self) -> String {
        match self.owner() {
            Some(subject) => format!("{subject} of {}", self.tenant),
            None => "the API".to_owned(),
        }
    }

    /// The owner of what is handed in: themselves, unless they hand it in for another.
    ///
    /// # Errors
    /// `forbidden` when they may not, `invalid_owner` when it can be nobody.
    pub(crate) fn owner_named(&self, named: Option<String>) -> Result<Option<String>, Problem> {
        let Some(named) = named else {
            return Ok(self.owner().map(str::to_owned));
        };
        if self.role == Role::Learner && named != self.subject {
            return Err(Problem::new(
                Code::Forbidden,
                "Only an instructor or an admin may name another owner.",
            ));
        }
        if !is_subject(&named) {
            let detail = "owner must have 1 to 255 bytes and no control characters.";
            return Err(Problem::new(Code::InvalidOwner, detail));
        }
        Ok(Some(named))
    }

    /// Refuses those who are less than this.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn must_be(&self, least: Role) -> Result<(), Problem> {
        if self.role >= least {
            return Ok(());
        }
        let who = match least {
            Role::Learner => "someone",
            Role::Instructor => "an instructor or an admin",
            Role::Admin => "an admin",
        };
        Err(Problem::new(Code::Forbidden, format!("Only {who} may do this.")))
    }

    /// The tenant that something is asked for, their own unless another is named.
    ///
    /// # Errors
    /// `forbidden` when it is not theirs.
    pub(crate) fn tenant_named(&self, named: Option<String>) -> Result<String, Problem> {
        Ok(self.tenant_if_named(named)?.unwrap_or_else(|| self.tenant.clone()))
    }

    /// The tenant that a choice narrows to, if it names one.
    ///
    /// # Errors
    /// `forbidden` when it is not theirs.
    pub(crate) fn tenant_if_named(&self, named: Option<String>) -> Result<Option<String>, Problem> {
        if self.role < Role::Admin && named.as_ref().is_some_and(|named| *named != self.tenant) {
            return Err(Problem::new(
                Code::Forbidden,
                "Only an admin may name another tenant than their own.",
            ));
        }
        Ok(named)
    }
}

impl App {
    /// The record as this caller may see and change it.
    pub(crate) fn store(&self, caller: &Caller) -> Store {
        self.record.within(caller.scope())
    }
}
