//! Creating one resource, and what to make of the answer.

use kube::api::{Api, PostParams};
use kube::core::Status;
use kube::{Client, Resource, ResourceExt};
use resources::{MADE_BY_GATEWAY, MANAGED_BY};
use runtime::in_full;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use tokio::time::timeout;
use uuid::Uuid;

use crate::cluster::REQUEST_TIMEOUT;

/// What came of the wish to create a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Creation {
    /// It is there.
    Created {
        /// Its `metadata.uid`.
        uid: Option<Uuid>,
    },
    /// It cannot be, or not now; others may. The text says why.
    Refused(String),
    /// Nothing can be created at the moment. The text says why.
    Away(String),
}

/// Creates a resource of ours. One that is there already counts.
pub(super) async fn create<K>(client: &Client, namespace: &str, object: &K) -> Creation
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + Serialize + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let parameters = PostParams { field_manager: Some(MADE_BY_GATEWAY.to_owned()), ..PostParams::default() };
    let created = match answered(api.create(&parameters, object)).await {
        Ok(created) => created,
        Err(Failure::AlreadyExists) => match answered(api.get(&object.name_any())).await {
            Ok(found) if is_ours(&found) => found,
            Ok(_) => return Creation::Refused("a resource of this name was made by someone else".to_owned()),
            Err(Failure::Is(creation)) => return creation,
            Err(Failure::AlreadyExists) => return Creation::Refused("its state is unclear".to_owned()),
        },
        Err(Failure::Is(creation)) => return creation,
    };
    Creation::Created { uid: created.uid().and_then(|uid| uid.parse().ok()) }
}

fn is_ours<K: Resource>(found: &K) -> bool {
    found.labels().get(MANAGED_BY).is_some_and(|by| by == MADE_BY_GATEWAY)
}

#[derive(Debug, PartialEq, Eq)]
enum Failure {
    AlreadyExists,
    Is(Creation),
}

async fn answered<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    match timeout(REQUEST_TIMEOUT, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(failure(&status)),
        Ok(Err(error)) => Err(Failure::Is(Creation::Away(in_full(&error)))),
        Err(_elapsed) => Err(Failure::Is(Creation::Away(format!("no answer within {REQUEST_TIMEOUT:?}")))),
    }
}

/// What an answer other than success means for this resource and for others.
fn failure(status: &Status) -> Failure {
    let reason = || format!("{} {}: {}", status.code, status.reason, status.message);
    match status.code {
        409 if status.reason == "AlreadyExists" => Failure::AlreadyExists,
        // The namespace or the definition of the resource is missing, the token is no longer good, the server is
        // overloaded: the same for everything.
        401 | 404 | 408 | 429 | 500.. => Failure::Is(Creation::Away(reason())),
        _ => Failure::Is(Creation::Refused(reason())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure_of(code: u16, reason: &str) -> Failure {
        failure(&Status::failure("in words", reason).with_code(code))
    }

    #[test]
    fn what_would_meet_every_resource_is_an_outage() {
        for code in [401, 404, 408, 429, 500, 503, 504] {
            assert!(matches!(failure_of(code, ""), Failure::Is(Creation::Away(_))), "{code}");
        }
    }

    #[test]
    fn what_is_wrong_with_one_resource_is_a_refusal() {
        for (code, reason) in [(400, "BadRequest"), (403, "Forbidden"), (409, "Conflict"), (422, "Invalid")] {
            assert!(matches!(failure_of(code, reason), Failure::Is(Creation::Refused(_))), "{code}");
        }
    }

    #[test]
    fn a_resource_that_exists_is_neither() {
        assert_eq!(failure_of(409, "AlreadyExists"), Failure::AlreadyExists);
    }
}
