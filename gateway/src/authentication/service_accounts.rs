//! Callers that Kubernetes vouches for: tokens of ServiceAccounts, shown to the API server by TokenReview.

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args};
use domain::{Tenant, duration};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::{Api, PostParams};
use runtime::{Outage, in_full};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout};

use super::claims::is_subject;
use super::jwt::Unproven;
use super::recent::{Digest, Recent};
use super::refusal::Refusal;
use crate::caller::{Caller, Role};
use crate::cluster::Cluster;

/// How the API server names a ServiceAccount, before its namespace and name.
const PREFIX: &str = "system:serviceaccount:";

/// Accounts of which a review is remembered; and as many refused tokens.
const REMEMBERED: usize = 2_000;

/// Reviews at the same time. Tokens that nobody issued must not keep the API server busy.
const AT_ONCE: usize = 8;

/// Requests that wait for a review. Each takes the place of another that could be served.
const WAITING: usize = 32;

/// How long a request waits for its review.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether, and how, ServiceAccounts are let in.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServiceAccountFlags {
    /// Whether tokens of Kubernetes ServiceAccounts are taken. The gateway's own account needs the right to create
    /// tokenreviews (the ClusterRole system:auth-delegator). The namespace is the tenant.
    #[arg(long, env = "ASSAY_AUTH_TOKEN_REVIEW", default_value_t = false, action = ArgAction::Set)]
    pub(super) auth_token_review: bool,
    /// The audiences of which such a token must be for one, separated by commas. A token for the API server itself is
    /// not for us.
    #[arg(long, env = "ASSAY_AUTH_TOKEN_REVIEW_AUDIENCE", default_value = "assay", value_delimiter = ',')]
    auth_token_review_audience: Vec<String>,
    /// How long a review is believed: an account that is deleted is let in for so long.
    #[arg(long, env = "ASSAY_AUTH_TOKEN_REVIEW_CACHE", default_value = "30s", value_parser = duration::parse)]
    auth_token_review_cache: Duration,
    /// How long it is believed while the API server does not answer.
    #[arg(long, env = "ASSAY_AUTH_TOKEN_REVIEW_GRACE", default_value = "5m", value_parser = duration::parse)]
    auth_token_review_grace: Duration,
    /// The accounts that may do everything, as NAMESPACE/NAME, separated by commas.
    #[arg(long, env = "ASSAY_AUTH_ADMIN_SERVICE_ACCOUNTS", value_delimiter = ',')]
    auth_admin_service_accounts: Vec<Account>,
    /// What the others may do: learner, instructor or admin.
    #[arg(long, env = "ASSAY_AUTH_SERVICE_ACCOUNT_ROLE", value_enum, default_value_t = Role::Learner)]
    auth_service_account_role: Role,
}

/// Settings of reviews that cannot hold together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceAccountContradiction {
    /// What is believed for longer needs no grace.
    #[error(
        "ASSAY_AUTH_TOKEN_REVIEW_GRACE ({grace:?}) is shorter than ASSAY_AUTH_TOKEN_REVIEW_CACHE ({cache:?})"
    )]
    ShortGrace {
        /// The grace.
        grace: Duration,
        /// The time without it.
        cache: Duration,
    },
    /// It would be any.
    #[error("ASSAY_AUTH_TOKEN_REVIEW_AUDIENCE names an audience that is empty")]
    NoAudience,
}

impl ServiceAccountFlags {
    /// Refuses settings that cannot hold together.
    ///
    /// # Errors
    /// The first contradiction found.
    pub(super) fn check(&self) -> Result<(), ServiceAccountContradiction> {
        let (grace, cache) = (self.auth_token_review_grace, self.auth_token_review_cache);
        if grace < cache {
            return Err(ServiceAccountContradiction::ShortGrace { grace, cache });
        }
        // The API server takes an empty list for its own audiences.
        if self.auth_token_review_audience.is_empty()
            || self.auth_token_review_audience.iter().any(String::is_empty)
        {
            return Err(ServiceAccountContradiction::NoAudience);
        }
        Ok(())
    }
}

/// A ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Account {
    namespace: String,
    name: String,
}

/// The text names no account.
#[derive(Debug, thiserror::Error)]
#[error("an account is NAMESPACE/NAME")]
struct InvalidAccount;

impl FromStr for Account {
    type Err = InvalidAccount;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, name) = text.split_once('/').ok_or(InvalidAccount)?;
        let valid =
            !namespace.is_empty() && !name.is_empty() && !text.contains([':', ' ']) && !name.contains('/');
        valid
            .then(|| Account { namespace: namespace.to_owned(), name: name.to_owned() })
            .ok_or(InvalidAccount)
    }
}

/// Whether a token says that it is a ServiceAccount's. Only such are shown to the API server.
pub(super) fn claims_to_be_one(token: &Unproven) -> bool {
    token.subject.as_ref().is_some_and(|subject| subject.starts_with(PREFIX))
}

/// What the API server said of a token.
#[derive(Clone)]
struct Reviewed {
    verdict: Result<Arc<Caller>, Refusal>,
    at: Instant,
}

/// The accounts that Kubernetes vouches for.
pub(super) struct ServiceAccounts {
    cluster: Mutex<Cluster>,
    flags: ServiceAccountFlags,
    admins: HashSet<Account>,
    places: Semaphore,
    turns: Semaphore,
    // Apart, so that tokens that anybody can make up drive none out that is good.
    vouched: Recent<Reviewed>,
    refused: Recent<Reviewed>,
    outage: Outage,
}

impl ServiceAccounts {
    /// Those of a cluster.
    pub(super) fn new(flags: &ServiceAccountFlags, cluster: Cluster, outage: Outage) -> ServiceAccounts {
        ServiceAccounts {
            cluster: Mutex::new(cluster),
            flags: flags.clone(),
            admins: flags.auth_admin_service_accounts.iter().cloned().collect(),
            places: Semaphore::new(WAITING),
            turns: Semaphore::new(AT_ONCE),
            vouched: Recent::new(REMEMBERED),
            refused: Recent::new(REMEMBERED),
            outage,
        }
    }

    /// Who bears a token.
    pub(super) async fn caller(
        &self,
        token: &str,
        digest: Digest,
        says: &Unproven,
    ) -> Result<Arc<Caller>, Refusal> {
        if says.has_expired() {
            return Err(Refusal::Expired);
        }
        if let Some(verdict) = self.remembered(&digest, self.flags.auth_token_review_cache) {
            return verdict;
        }
        match self.reviewed_in_time(token, digest).await {
            Some(verdict) => verdict,
            None => match self.remembered(&digest, self.flags.auth_token_review_grace) {
                Some(Ok(caller)) => Ok(caller),
                _ => Err(Refusal::Unavailable("Kubernetes does not say whose token this is.")),
            },
        }
    }

    /// What the API server says of a token, unless it does not say so now, or too many wait for it.
    async fn reviewed_in_time(&self, token: &str, digest: Digest) -> Option<Result<Arc<Caller>, Refusal>> {
        let _place = self.places.try_acquire().ok()?;
        let reviewed = timeout(PATIENCE, async {
            let _turn = self.turns.acquire().await;
            // Others may have waited for the same.
            match self.remembered(&digest, self.flags.auth_token_review_cache) {
                Some(verdict) => Ok(verdict),
                None => self.review(token, digest).await,
            }
        });
        let away = match reviewed.await {
            Ok(Ok(verdict)) => return Some(verdict),
            Ok(Err(away)) => away,
            Err(_elapsed) => format!("no answer within {PATIENCE:?}"),
        };
        self.outage.begin(&away);
        None
    }

    fn remembered(&self, digest: &Digest, within: Duration) -> Option<Result<Arc<Caller>, Refusal>> {
        let reviewed = self.vouched.get(digest).or_else(|| self.refused.get(digest))?;
        (reviewed.at.elapsed() < within).then_some(reviewed.verdict)
    }

    /// Asks the API server.
    ///
    /// # Errors
    /// When it gives no verdict, in words.
    async fn review(&self, token: &str, digest: Digest) -> Result<Result<Arc<Caller>, Refusal>, String> {
        let client = self.cluster.lock().await.client().await?;
        let audiences = Some(self.flags.auth_token_review_audience.clone());
        let spec = TokenReviewSpec { token: token.to_owned(), audiences };
        let review = TokenReview { spec, ..TokenReview::default() };
        let reviewed = Api::<TokenReview>::all(client).create(&PostParams::default(), &review).await;
        let status = match reviewed {
            Ok(reviewed) => reviewed.status.unwrap_or_default(),
            Err(error) => {
                // The files that say how to reach it, and as whom, may have changed.
                self.cluster.lock().await.forget();
                return Err(in_full(&error));
            }
        };
        self.outage.end();
        let verdict = self.verdict(&status).map(Arc::new);
        let (memory, other) = match verdict {
            Ok(_) => (&self.vouched, &self.refused),
            Err(_) => (&self.refused, &self.vouched),
        };
        // The last word counts: who was refused is not let in again by what was said before.
        other.forget(&digest);
        memory.put(digest, Reviewed { verdict: verdict.clone(), at: Instant::now() });
        Ok(verdict)
    }

    fn verdict(&self, status: &TokenReviewStatus) -> Result<Caller, Refusal> {
        if status.authenticated != Some(true) {
            return Err(Refusal::NotVouchedFor);
        }
        // An API server that knows nothing of audiences names none, and has vouched for the token alone.
        let mut audiences = status.audiences.iter().flatten();
        if !audiences.any(|audience| self.flags.auth_token_review_audience.contains(audience)) {
            return Err(Refusal::Audience);
        }
        let user = status.user.as_ref().and_then(|user| user.username.as_deref()).unwrap_or_default();
        let account = user.strip_prefix(PREFIX).and_then(|rest| rest.split_once(':'));
        let Some((namespace, name)) = account.filter(|_| is_subject(user)) else {
            return Err(Refusal::Unplaced("its bearer is no ServiceAccount.".to_owned()));
        };
        let tenant: Tenant = namespace
            .parse()
            .map_err(|invalid| Refusal::Unplaced(format!("its namespace names no tenant: {invalid}.")))?;
        let account = Account { namespace: namespace.to_owned(), name: name.to_owned() };
        let role =
            if self.admins.contains(&account) { Role::Admin } else { self.flags.auth_service_account_role };
        Ok(Caller { tenant: tenant.into(), subject: user.to_owned(), role })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use k8s_openapi::api::authentication::v1::UserInfo;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        flags: ServiceAccountFlags,
    }

    fn flags(more: &[&str]) -> ServiceAccountFlags {
        Flags::try_parse_from(["gateway"].iter().chain(more)).expect("flags that can be read").flags
    }

    fn verdict(
        more: &[&str],
        user: &str,
        audiences: &[&str],
        authenticated: bool,
    ) -> Result<Caller, Refusal> {
        let accounts = ServiceAccounts::new(&flags(more), Cluster::new(None), Outage::of("Kubernetes"));
        accounts.verdict(&TokenReviewStatus {
            authenticated: Some(authenticated),
            audiences: Some(audiences.iter().map(|&audience| audience.to_owned()).collect()),
            user: Some(UserInfo { username: Some(user.to_owned()), ..UserInfo::default() }),
            error: None,
        })
    }

    fn caller(role: Role) -> Result<Caller, Refusal> {
        let subject = "system:serviceaccount:algebra:grader".to_owned();
        Ok(Caller { tenant: "algebra".to_owned(), subject, role })
    }

    #[test]
    fn an_account_belongs_to_the_tenant_of_its_namespace() {
        let user = "system:serviceaccount:algebra:grader";
        assert_eq!(verdict(&[], user, &["assay"], true), caller(Role::Learner));
        let instructor = ["--auth-service-account-role", "instructor"];
        assert_eq!(verdict(&instructor, user, &["x", "assay"], true), caller(Role::Instructor));
        let admins = ["--auth-admin-service-accounts", "algebra/other,algebra/grader"];
        assert_eq!(verdict(&admins, user, &["assay"], true), caller(Role::Admin));
        let others = ["--auth-admin-service-accounts", "grader/algebra,algebra/grade"];
        assert_eq!(verdict(&others, user, &["assay"], true), caller(Role::Learner));
    }

    #[test]
    fn whom_the_api_server_does_not_vouch_for_or_who_is_no_account_is_refused() {
        let user = "system:serviceaccount:algebra:grader";
        assert_eq!(verdict(&[], user, &["assay"], false), Err(Refusal::NotVouchedFor));
        assert_eq!(verdict(&[], user, &[], true), Err(Refusal::Audience));
        assert_eq!(verdict(&[], user, &["https://kubernetes.default.svc"], true), Err(Refusal::Audience));
        for user in ["admin", "system:serviceaccount:algebra", "system:node:a", ""] {
            assert!(matches!(verdict(&[], user, &["assay"], true), Err(Refusal::Unplaced(_))), "{user}");
        }
    }

    #[test]
    fn settings_that_would_take_any_audience_or_no_grace_are_refused() {
        assert_eq!(flags(&[]).check(), Ok(()));
        let no_audience = Err(ServiceAccountContradiction::NoAudience);
        assert_eq!(flags(&["--auth-token-review-audience", ""]).check(), no_audience);
        let short = flags(&["--auth-token-review-grace", "1s"]).check();
        assert!(matches!(short, Err(ServiceAccountContradiction::ShortGrace { .. })));
        for account in ["a", "/a", "a/", "a/b/c", "system:serviceaccount:a:b"] {
            let parsed = Flags::try_parse_from(["gateway", "--auth-admin-service-accounts", account]);
            assert!(parsed.is_err(), "{account}");
        }
    }
}
