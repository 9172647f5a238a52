use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, Patch, PatchParams};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use testkit::{FrontProxy, TempFolder};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::scene::{SERVICE, Scene, control_plane};
use crate::world::eventually;

const ADMIN: [(&str, &str); 2] = [("X-Remote-User", "root"), ("X-Remote-Group", "system:masters")];

#[tokio::test]
async fn only_callers_that_the_proved_api_server_names_get_what_they_have_a_right_to() -> Result<()> {
    let scene = Scene::new().await?;
    let operator = scene.operator(&[]).await?;
    scene.until_available().await?;
    let role: Role = serde_json::from_value(json!({
        "metadata": { "name": "reader" },
        "rules": [{
            "apiGroups": ["external.metrics.k8s.io"], "resources": ["scoring_backlog"], "verbs": ["get", "list"],
        }],
    }))?;
    scene.world.create(&role).await?;
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": { "name": "reader" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann" }],
    }))?;
    scene.world.create(&binding).await?;
    let front_proxy = control_plane().await?.front_proxy();
    let elsewhere = TempFolder::new()?;
    let stranger = FrontProxy::in_folder(elsewhere.path())?;
    let (proved, other_name, other_authority) = (
        front_proxy.client("front-proxy-client")?,
        front_proxy.client("somebody")?,
        stranger.client("front-proxy-client")?,
    );
    let ann: &[_] = &[("X-Remote-User", "ann"), ("X-Remote-Group", "system:authenticated")];
    let bob: &[_] = &[("X-Remote-User", "bob"), ("X-Remote-Group", "system:authenticated")];
    let backlog = scene.path("scoring_backlog", "");
    let authority = scene.kept("ca.crt").await?.context("an authority")?;
    let pool_is_known = async || scene.values("scoring_backlog").await.map_or(Ok(false), |_| Ok(true));
    eventually("the queue is known", pool_is_known, |known| *known).await?;
    for (identity, headers, path, expected, why) in [
        (None, &ADMIN as &[_], backlog.as_str(), 401, "no certificate"),
        (Some(&other_name), &ADMIN, &backlog, 401, "a name that is not allowed"),
        (Some(&other_authority), &ADMIN, &backlog, 401, "another authority"),
        (Some(&proved), &[], &backlog, 401, "nobody is named"),
        (Some(&proved), bob, &backlog, 403, "no right"),
        (Some(&proved), ann, &scene.path("scoring_busy_ratio", ""), 403, "no right to this metric"),
        (Some(&proved), ann, &backlog, 200, "a right"),
        (Some(&proved), &ADMIN, &backlog, 200, "every right"),
        (Some(&proved), bob, "/apis/external.metrics.k8s.io/v1beta1", 200, "discovery is everybody's"),
        (None, &[], "/apis/external.metrics.k8s.io/v1beta1", 401, "discovery by nobody"),
        (None, &[], "/healthz", 200, "a probe"),
        (None, &[], "/readyz", 200, "a probe"),
        (None, &[], "/metrics", 401, "no probe"),
    ] {
        let (status, body) = scene.direct(scene.port, &authority, identity)?.get(path, headers).await?;
        assert_eq!(status, expected, "{why}: {body}");
        if status >= 400 {
            assert_eq!((&body["kind"], &body["code"]), (&json!("Status"), &json!(status)), "{why}");
        }
    }
    operator.stop().await
}

#[tokio::test]
async fn an_authority_that_the_api_server_adds_counts_without_a_restart() -> Result<()> {
    let scene = Scene::new().await?;
    let operator = scene.operator(&[]).await?;
    scene.until_available().await?;
    let folder = TempFolder::new()?;
    let added = FrontProxy::in_folder(folder.path())?;
    let identity = added.client("front-proxy-client")?;
    let authority = scene.kept("ca.crt").await?.context("an authority")?;
    // One connection throughout: who is believed is judged for each request.
    let caller = scene.direct(scene.port, &authority, Some(&identity))?;
    let asked = async || Ok(caller.get("/apis", &ADMIN).await?.0);
    assert_eq!(asked().await?, 401);

    let maps: Api<ConfigMap> = Api::namespaced(scene.world.client.clone(), "kube-system");
    let name = "extension-apiserver-authentication";
    let data: BTreeMap<_, _> = maps.get(name).await?.data.context("data")?;
    let key = "requestheader-client-ca-file";
    let both = format!("{}\n{}", data[key], std::fs::read_to_string(added.authority_file())?);
    let patch = Patch::Merge(json!({ "data": { key: both } }));
    maps.patch(name, &PatchParams::default(), &patch).await?;
    eventually("the new authority counts", asked, |status| *status == 200).await?;
    operator.stop().await
}

#[tokio::test]
async fn a_stranger_keeps_no_connection() -> Result<()> {
    let scene = Scene::new().await?;
    let operator = scene.operator(&[]).await?;
    scene.until_available().await?;
    let mut roots = RootCertStore::empty();
    let authority = scene.kept("ca.crt").await?.context("an authority")?;
    for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(format!("{SERVICE}.{}.svc", scene.world.namespace))?;
    let silent = TcpStream::connect(("127.0.0.1", scene.port)).await?;
    let nobody = TcpStream::connect(("127.0.0.1", scene.port)).await?;
    let nobody = TlsConnector::from(Arc::new(config)).connect(name, nobody).await?;
    let (silent, nobody) = tokio::join!(ends(silent), ends(nobody));
    assert!(silent && nobody, "without a handshake: {silent}, without a certificate: {nobody}");
    operator.stop().await
}

/// Whether a connection ends over which nothing is said.
async fn ends(mut connection: impl AsyncRead + Unpin) -> bool {
    let mut everything = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), connection.read_to_end(&mut everything)).await.is_ok()
}
