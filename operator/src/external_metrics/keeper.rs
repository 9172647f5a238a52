//! Keeps the certificate: in the Secret for all replicas, in the `caBundle` of the APIService for the API server, and in
//! what this replica serves.
//!
//! Every replica does all of it; of those that write the Secret at the same moment, one succeeds. The order of things is
//! such that nothing is served that the API server does not trust: an authority is first published in `caBundle`, then
//! signs what is served, and stays published for as long as something that it signed may be served.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use runtime::{Outage, Shutdown};
use rustls::ServerConfig;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{info, warn};

use super::certificates::{NotMade, said};
use super::discovery::{GROUP, VERSION};
use super::kept::{Kept, Step, Wish, includes};
use super::one_object::follow;
use super::settings::ExternalMetricsSettings;
use crate::cluster::{ClusterError, within_deadline};
use crate::metrics::{CertificateOf, Metrics};

/// The annotation of the Secret with which a person asks for a new certificate, or for a new `authority` as well.
const ROTATE: &str = "assay.dev/rotate";

/// Who owns `caBundle` in the eyes of server-side apply.
const FIELD_MANAGER: &str = "assay-external-metrics";

/// How often time is looked at, and what failed is tried again.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long an authority must have been published until something is served that it signed: there may be several API
/// servers, and each learns of it for itself.
const PUBLISHED_FOR: Duration = Duration::from_secs(10);

/// Why something is not as it should be. It is tried again.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("cannot read or write the Secret of the external metrics")]
    Secret(#[source] ClusterError),
    #[error("cannot write caBundle of the APIService {0}")]
    Bundle(String, #[source] ClusterError),
    #[error(transparent)]
    NotMade(#[from] NotMade),
    #[error(
        "{ROTATE} of the Secret of the external metrics may be 'certificate' or 'authority', and not {0:?}"
    )]
    Wish(String),
    #[error("cannot watch what keeps the certificate of the external metrics")]
    Watch(#[from] kube::runtime::watcher::Error),
}

/// What keeps the certificate.
pub(super) struct Keeper {
    settings: ExternalMetricsSettings,
    namespace: String,
    /// The names of the Service, by which it is asked for.
    names: Vec<String>,
    secrets: Api<Secret>,
    services: Api<APIService>,
    /// As last seen; `None` until it was looked for.
    secret: Option<Option<Secret>>,
    service: Option<Option<APIService>>,
    /// The next authority that was seen published, in PEM, and since when.
    published: Option<(String, Instant)>,
    /// The certificate that is served, in PEM.
    served: Option<String>,
    serve: watch::Sender<Option<Arc<ServerConfig>>>,
    metrics: Metrics,
}

impl Keeper {
    pub(super) fn new(
        client: &Client,
        namespace: &str,
        settings: ExternalMetricsSettings,
        serve: watch::Sender<Option<Arc<ServerConfig>>>,
        metrics: Metrics,
    ) -> Keeper {
        let service = &settings.service;
        let names = [
            format!("{service}.{namespace}.svc"),
            format!("{service}.{namespace}.svc.cluster.local"),
            format!("{service}.{namespace}"),
        ];
        Keeper {
            namespace: namespace.to_owned(),
            names: names.to_vec(),
            secrets: Api::namespaced(client.clone(), namespace),
            services: Api::all(client.clone()),
            secret: None,
            service: None,
            published: None,
            served: None,
            serve,
            metrics,
            settings,
        }
    }

    /// Keeps it until the stop is asked for.
    pub(super) async fn keep(mut self, shutdown: Shutdown) {
        let mut secrets = Box::pin(follow(self.secrets.clone(), &self.settings.secret));
        let mut services = Box::pin(follow(self.services.clone(), &api_service()));
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outage = Outage::of("keeping the certificate of the external metrics");
        let asked = Outage::of("being asked for external metrics");
        loop {
            let seen = tokio::select! {
                () = shutdown.requested() => return,
                Some(seen) = secrets.next() => seen.map(|secret| self.secret = Some(secret)),
                Some(seen) = services.next() => seen.map(|service| self.service = Some(service)),
                _ = looks.tick() => Ok(()),
            };
            let kept = match seen {
                Ok(()) => self.look().await,
                Err(error) => Err(error.into()),
            };
            outage.note(&kept);
            match self.own_service() {
                Some(_) => asked.end(),
                None if self.service.is_some() => asked.begin(&format!(
                    "the APIService {} is not there, does not lead to the Service {} in {}, or skips TLS verification",
                    api_service(),
                    self.settings.service,
                    self.namespace
                )),
                None => {}
            }
        }
    }

    async fn look(&mut self) -> Result<(), KeepError> {
        let Some(secret) = self.secret.clone() else { return Ok(()) };
        let now = Timestamp::now();
        let data = secret.as_ref().and_then(|secret| secret.data.clone()).unwrap_or_default();
        let kept = Kept::read(&data).and_then(|kept| Ok((kept.usable(&self.names, now)?, kept)));
        let (config, kept) = match kept {
            Ok(usable) => usable,
            Err(mistake) => {
                if let Some(secret) = &secret {
                    warn!(secret = secret.name_any(), mistake, "the Secret cannot be used: it is made anew");
                }
                let anew = Kept::anew(&self.names, self.settings.lifetimes, now)?;
                return self.write(secret.as_ref(), &anew).await;
            }
        };
        self.publish(&kept).await?;
        self.serve(&kept, config);
        let wish = secret.as_ref().map(wish).transpose()?.flatten();
        let step = kept.step(wish, self.next_is_trusted(&kept), now);
        if step == Step::Rest {
            return Ok(());
        }
        let after = kept.after(step, &self.names, self.settings.lifetimes, now)?;
        info!(?step, "the certificate of the external metrics is rotated");
        self.write(secret.as_ref(), &after).await
    }

    /// Sees to it that the API server trusts what is kept, unless the APIService leads elsewhere.
    async fn publish(&mut self, kept: &Kept) -> Result<(), KeepError> {
        let Some(service) = self.own_service() else { return Ok(()) };
        let trusted = kept.trusted();
        if bundle(service).as_deref() == Some(trusted.as_str()) {
            return Ok(());
        }
        // Of a Secret that another replica has changed meanwhile, this one will hear in a moment.
        let present = within_deadline(self.secrets.get_opt(&self.settings.secret));
        let present = present.await.map_err(KeepError::Secret)?;
        let version = |secret: &Option<Secret>| secret.as_ref().and_then(ResourceExt::resource_version);
        if version(&present) != self.secret.as_ref().and_then(version) {
            return Ok(());
        }
        let name = api_service();
        let patch = Patch::Apply(json!({
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": { "name": name },
            "spec": { "caBundle": ByteString(trusted.into_bytes()) },
        }));
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patched = within_deadline(self.services.patch(&name, &parameters, &patch)).await;
        let patched = patched.map_err(|error| KeepError::Bundle(name, error))?;
        info!("caBundle of the APIService is as it should be");
        self.service = Some(Some(patched));
        Ok(())
    }

    /// Serves the certificate that is kept, once it is trusted.
    fn serve(&mut self, kept: &Kept, config: ServerConfig) {
        let certificate = &kept.serving.certificate;
        let is_trusted = self.own_service().is_none_or(|service| {
            bundle(service).is_some_and(|ca| includes(&ca, &kept.authority.certificate))
        });
        if self.served.as_ref() == Some(certificate) || (self.served.is_some() && !is_trusted) {
            return;
        }
        self.serve.send_replace(Some(Arc::new(config)));
        self.served = Some(certificate.clone());
        let expires = |pem: &str| said(pem).map(|said| said.not_after);
        if let (Some(serving), Some(authority)) = (expires(certificate), expires(&kept.authority.certificate))
        {
            info!(%serving, %authority, "a certificate is served that is valid until then");
            self.metrics.certificate_expires(CertificateOf::SERVER, serving);
            self.metrics.certificate_expires(CertificateOf::AUTHORITY, authority);
        }
    }

    /// Whether the next authority has been published for long enough. Where there is no APIService of ours, nobody knows
    /// whom to trust.
    fn next_is_trusted(&mut self, kept: &Kept) -> bool {
        let next = kept.next.as_ref().map(|next| next.certificate.clone());
        let Some(next) = next.filter(|_| self.service.is_some()) else {
            self.published = None;
            return false;
        };
        let is_published = self
            .own_service()
            .is_none_or(|service| bundle(service).is_some_and(|bundle| includes(&bundle, &next)));
        match &self.published {
            _ if !is_published => self.published = None,
            Some((seen, since)) if *seen == next => return since.elapsed() >= PUBLISHED_FOR,
            _ => self.published = Some((next, Instant::now())),
        }
        false
    }

    /// The APIService, if it leads to our Service.
    fn own_service(&self) -> Option<&APIService> {
        let service = self.service.as_ref()?.as_ref()?;
        let spec = service.spec.as_ref()?;
        let leads_to = spec.service.as_ref()?;
        let is_ours = leads_to.name.as_deref() == Some(self.settings.service.as_str())
            && leads_to.namespace.as_deref() == Some(self.namespace.as_str())
            && spec.insecure_skip_tls_verify != Some(true);
        is_ours.then_some(service)
    }

    /// Puts it into the Secret, unless that has changed since it was seen. A wish is granted by that.
    async fn write(&mut self, seen: Option<&Secret>, kept: &Kept) -> Result<(), KeepError> {
        let mut secret = seen.cloned().unwrap_or_else(|| Secret {
            metadata: ObjectMeta { name: Some(self.settings.secret.clone()), ..ObjectMeta::default() },
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        });
        // What else a person keeps there stays.
        let mut data = secret.data.take().unwrap_or_default();
        data.retain(|key, _| !Kept::is_key(key));
        data.extend(kept.written());
        secret.data = Some(data);
        secret.annotations_mut().remove(ROTATE);
        secret.managed_fields_mut().clear();
        let parameters = PostParams::default();
        let written = match seen {
            None => within_deadline(self.secrets.create(&parameters, &secret)).await,
            Some(_) => {
                within_deadline(self.secrets.replace(&self.settings.secret, &parameters, &secret)).await
            }
        };
        match written {
            Ok(secret) => self.secret = Some(Some(secret)),
            // Another replica was first: the watch brings what it wrote.
            Err(error) if error.is_conflict() || error.already_exists() => {}
            Err(error) => return Err(KeepError::Secret(error)),
        }
        Ok(())
    }
}

/// The name of the APIService.
fn api_service() -> String {
    format!("{VERSION}.{GROUP}")
}

fn bundle(service: &APIService) -> Option<String> {
    let bundle = service.spec.as_ref()?.ca_bundle.as_ref()?;
    String::from_utf8(bundle.0.clone()).ok()
}

fn wish(secret: &Secret) -> Result<Option<Wish>, KeepError> {
    match secret.annotations().get(ROTATE).map(String::as_str) {
        None => Ok(None),
        Some("authority") => Ok(Some(Wish::Authority)),
        Some("certificate") => Ok(Some(Wish::Certificate)),
        Some(other) => Err(KeepError::Wish(other.to_owned())),
    }
}
