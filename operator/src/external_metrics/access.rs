//! Whether a caller may: as the API server says, which is remembered for a moment.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::time::Instant;

use super::caller::Caller;
use super::discovery::{GROUP, VERSION};
use crate::cluster::{ClusterError, within_deadline};

/// How long an answer holds.
const HOLDS_FOR: Duration = Duration::from_secs(10);

/// The most answers that are remembered.
const MOST_ANSWERS: usize = 1024;

/// What a caller wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    /// The values of a metric in a namespace.
    Metric {
        /// The namespace.
        namespace: String,
        /// The metric, which Kubernetes takes for a resource.
        metric: String,
    },
    /// Something else, by its path: discovery.
    Path(String),
}

/// Asks the API server.
#[derive(Debug)]
pub(super) struct Access {
    answers: Mutex<HashMap<(Caller, Wanted), (Instant, bool)>>,
}

impl Access {
    pub(super) fn new() -> Access {
        Access { answers: Mutex::default() }
    }

    /// Whether the caller may have it.
    ///
    /// # Errors
    /// When the API server does not say.
    pub(super) async fn may(
        &self,
        client: &Client,
        caller: &Caller,
        wanted: &Wanted,
    ) -> Result<bool, ClusterError> {
        let asked = (caller.clone(), wanted.clone());
        if let Some(allowed) = self.remembered(&asked, Instant::now()) {
            return Ok(allowed);
        }
        let review = review(caller, wanted);
        let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
        let answer = within_deadline(reviews.create(&PostParams::default(), &review)).await?;
        let allowed = answer.status.is_some_and(|status| status.allowed && status.denied != Some(true));
        self.remember(asked, allowed, Instant::now());
        Ok(allowed)
    }

    fn remembered(&self, asked: &(Caller, Wanted), now: Instant) -> Option<bool> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(asked).filter(|(at, _)| now.duration_since(*at) < HOLDS_FOR).map(|(_, allowed)| *allowed)
    }

    fn remember(&self, asked: (Caller, Wanted), allowed: bool, now: Instant) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MOST_ANSWERS {
            answers.retain(|_, (at, _)| now.duration_since(*at) < HOLDS_FOR);
        }
        if answers.len() >= MOST_ANSWERS {
            answers.clear();
        }
        answers.insert(asked, (now, allowed));
    }
}

fn review(caller: &Caller, wanted: &Wanted) -> SubjectAccessReview {
    let mut spec = SubjectAccessReviewSpec {
        user: Some(caller.user.clone()),
        uid: (!caller.uid.is_empty()).then(|| caller.uid.clone()),
        groups: Some(caller.groups.clone()),
        extra: Some(caller.extra.clone()),
        ..SubjectAccessReviewSpec::default()
    };
    match wanted {
        Wanted::Metric { namespace, metric } => {
            spec.resource_attributes = Some(ResourceAttributes {
                group: Some(GROUP.to_owned()),
                version: Some(VERSION.to_owned()),
                resource: Some(metric.clone()),
                namespace: Some(namespace.clone()),
                // As the API server has it: a path that ends in the resource is a list.
                verb: Some("list".to_owned()),
                ..ResourceAttributes::default()
            });
        }
        Wanted::Path(path) => {
            spec.non_resource_attributes =
                Some(NonResourceAttributes { path: Some(path.clone()), verb: Some("get".to_owned()) });
        }
    }
    SubjectAccessReview { spec, ..SubjectAccessReview::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(number: usize) -> (Caller, Wanted) {
        (Caller { user: number.to_string(), ..Caller::default() }, Wanted::Path("/apis".to_owned()))
    }

    #[test]
    fn answers_hold_for_a_moment_and_for_who_asked_for_what() {
        let (access, now) = (Access::new(), Instant::now());
        access.remember(asked(1), true, now);
        access.remember(asked(2), false, now);
        assert_eq!(access.remembered(&asked(1), now + HOLDS_FOR / 2), Some(true));
        assert_eq!(access.remembered(&asked(2), now + HOLDS_FOR / 2), Some(false));
        assert_eq!(access.remembered(&asked(1), now + HOLDS_FOR), None);
        let other = Wanted::Metric { namespace: "a".to_owned(), metric: "b".to_owned() };
        assert_eq!(access.remembered(&(asked(1).0, other), now), None);
    }

    #[test]
    fn answers_do_not_pile_up() {
        let (access, now) = (Access::new(), Instant::now());
        for number in 0..3 * MOST_ANSWERS {
            access.remember(asked(number), true, now);
        }
        assert!(access.answers.lock().expect("no panic").len() <= MOST_ANSWERS);
    }
}
