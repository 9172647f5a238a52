use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use testkit::{FrontProxy, TempFolder, free_port};

use super::scene::{API_SERVICE, SECRET, Scene};
use crate::world::eventually;

async fn bundle(client: &Client) -> Result<String> {
    let services: Api<APIService> = Api::all(client.clone());
    let bundle = services.get(API_SERVICE).await?.spec.and_then(|spec| spec.ca_bundle);
    Ok(String::from_utf8(bundle.unwrap_or_default().0)?)
}

async fn rotate(scene: &Scene, what: &str) -> Result<()> {
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { "assay.dev/rotate": what } } }));
    scene.world.api::<Secret>().patch(SECRET, &PatchParams::default(), &patch).await?;
    Ok(())
}

#[tokio::test]
async fn replicas_that_start_at_once_agree_on_one_authority() -> Result<()> {
    let scene = Scene::new().await?;
    let other_port = free_port()?;
    let (first, second) =
        tokio::try_join!(scene.operator_at("a", scene.port, &[]), scene.operator_at("b", other_port, &[]))?;
    scene.until_available().await?;
    let authority = scene.kept("ca.crt").await?.context("an authority")?;
    for (running, port) in [(&first, scene.port), (&second, other_port)] {
        let ready = async || running.readiness().await;
        eventually("external metrics are ready", ready, |(status, _)| *status == 200).await?;
        // Whoever had lost the race and kept its own would be refused in the handshake.
        let (status, _) = scene.direct(port, &authority, None)?.get("/healthz", &[]).await?;
        assert_eq!(status, 200);
    }
    assert_eq!(bundle(&scene.world.client).await?.trim(), authority.trim());
    first.stop().await?;
    second.stop().await
}

#[tokio::test]
async fn a_damaged_ca_bundle_is_repaired() -> Result<()> {
    let scene = Scene::new().await?;
    let operator = scene.operator(&[]).await?;
    scene.until_available().await?;
    let before = bundle(&scene.world.client).await?;
    let folder = TempFolder::new()?;
    let other = std::fs::read(FrontProxy::in_folder(folder.path())?.authority_file())?;
    let services: Api<APIService> = Api::all(scene.world.client.clone());
    let patch = Patch::Merge(json!({ "spec": { "caBundle": ByteString(other) } }));
    services.patch(API_SERVICE, &PatchParams::default(), &patch).await?;
    let now = async || bundle(&scene.world.client).await;
    eventually("it is repaired", now, |bundle| *bundle == before).await?;
    scene.until_available().await?;
    operator.stop().await
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_is_made_anew() -> Result<()> {
    let scene = Scene::new().await?;
    let operator = scene.operator(&[]).await?;
    scene.until_available().await?;
    let before = scene.kept("ca.crt").await?.context("an authority")?;
    let patch = Patch::Merge(json!({ "data": { "tls.key": ByteString(b"garbage".to_vec()) } }));
    scene.world.api::<Secret>().patch(SECRET, &PatchParams::default(), &patch).await?;
    let kept = async || scene.kept("ca.crt").await;
    eventually("it is made anew", kept, |kept| kept.as_ref().is_some_and(|kept| *kept != before)).await?;
    let works = async || Ok(scene.values("scoring_backlog").await.is_ok());
    eventually("external metrics work again", works, |works| *works).await?;
    operator.stop().await
}

#[tokio::test]
async fn a_rotation_of_certificate_and_authority_drops_no_request_and_reaches_every_replica() -> Result<()> {
    let scene = Scene::new().await?;
    let other_port = free_port()?;
    let operator = scene.operator(&[]).await?;
    let other = scene.operator_at("b", other_port, &[]).await?;
    scene.until_available().await?;
    let works = async || Ok(scene.values("scoring_backlog").await.is_ok());
    eventually("the queue is known", works, |works| *works).await?;

    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let asking = tokio::spawn({
        let (client, path) = (scene.world.client.clone(), scene.path("scoring_backlog", ""));
        let (stop, asked) = (stop.clone(), asked.clone());
        async move {
            while !stop.load(Ordering::Relaxed) {
                let request = axum::http::Request::get(&path).body(Vec::new())?;
                client.request_text(request).await.context("a request during the rotation")?;
                asked.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        }
    });
    let first_authority = scene.kept("ca.crt").await?.context("an authority")?;
    for what in ["certificate", "authority", "certificate"] {
        let before = scene.kept("tls.crt").await?;
        rotate(&scene, what).await?;
        let kept = async || scene.kept("tls.crt").await;
        eventually(&format!("the {what} is rotated"), kept, |kept| *kept != before).await?;
        let authority = scene.kept("ca.crt").await?.context("an authority")?;
        for port in [scene.port, other_port] {
            let serves = async || {
                let direct = scene.direct(port, &authority, None)?;
                Ok(direct.get("/healthz", &[]).await.map_or(0, |(status, _)| status))
            };
            eventually("what it signed is served", serves, |status| *status == 200).await?;
        }
        // Some requests with what is new.
        let until = asked.load(Ordering::Relaxed) + 20;
        let count = async || Ok(asked.load(Ordering::Relaxed));
        eventually("further requests are answered", count, |count| *count >= until || asking.is_finished())
            .await?;
    }
    stop.store(true, Ordering::Relaxed);
    asking.await??;
    let authority = scene.kept("ca.crt").await?.context("an authority")?;
    assert_ne!(authority, first_authority);
    // After the second certificate of the new authority, the old one is no longer trusted.
    let now = async || bundle(&scene.world.client).await;
    eventually("only the new authority is trusted", now, |bundle| bundle.trim() == authority.trim()).await?;
    scene.until_available().await?;
    operator.stop().await?;
    other.stop().await
}
