//! TLS in the gateway's own process, with certificates made on the spot.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use testkit::TempFolder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::fixture::{Gateway, LIMIT, until};

/// A certificate of its own for loopback, and its key, as files in a folder.
fn issue(folder: &Path) -> Result<CertificateDer<'static>> {
    std::fs::create_dir_all(folder)?;
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    std::fs::write(folder.join("tls.crt"), cert.pem())?;
    std::fs::write(folder.join("tls.key"), signing_key.serialize_pem())?;
    Ok(cert.der().clone())
}

/// As Kubernetes mounts a Secret: the files are links into a folder that is a link itself, which is what changes.
fn mount(folder: &Path, version: &str) -> Result<()> {
    let link = folder.join("..new");
    std::os::unix::fs::symlink(version, &link)?;
    std::fs::rename(&link, folder.join("..data"))?;
    for name in ["tls.crt", "tls.key"] {
        if folder.join(name).symlink_metadata().is_err() {
            std::os::unix::fs::symlink(PathBuf::from("..data").join(name), folder.join(name))?;
        }
    }
    Ok(())
}

async fn serving(folder: &Path) -> Result<Gateway> {
    let path = |name: &str| folder.join(name).to_str().map(str::to_owned).context("a path of ASCII");
    let (certificate, key) = (path("tls.crt")?, path("tls.key")?);
    let flags = ["--tls-cert", &certificate, "--tls-key", &key, "--header-timeout", "500ms"];
    Gateway::spawn(&testkit::fresh_database().await?, &flags).await
}

/// A connection that trusts this certificate alone.
async fn connect(
    gateway: &Gateway,
    trusted: &CertificateDer<'static>,
    protocol: &[u8],
) -> Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(gateway.url.trim_start_matches("http://")).await?;
    let name = ServerName::IpAddress(std::net::IpAddr::from([127, 0, 0, 1]).into());
    Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
}

async fn get(stream: &mut TlsStream<TcpStream>) -> Result<String> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: assay\r\n\r\n").await?;
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await?;
    answer.truncate(length);
    Ok(String::from_utf8(answer)?)
}

async fn reloads(gateway: &Gateway, outcome: &str) -> Result<f64> {
    gateway.metric(&format!(r#"assay_gateway_tls_reloads_total{{outcome="{outcome}"}}"#)).await
}

#[tokio::test]
async fn the_api_is_served_over_tls_and_browsers_are_told_to_stay_with_it() -> Result<()> {
    let folder = TempFolder::new()?;
    let certificate = issue(folder.path())?;
    let gateway = serving(folder.path()).await?;
    let mut stream = connect(&gateway, &certificate, b"http/1.1").await?;
    let answer = get(&mut stream).await?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age="), "{answer}");
    let second = connect(&gateway, &certificate, b"h2").await?;
    assert_eq!(second.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));

    // Whoever speaks in the clear is not understood, and whoever does not speak is not waited for.
    let address = gateway.url.trim_start_matches("http://");
    let mut clear = TcpStream::connect(address).await?;
    clear.write_all(b"GET /healthz HTTP/1.1\r\nHost: assay\r\n\r\n").await?;
    let mut said = Vec::new();
    let _ = timeout(LIMIT, clear.read_to_end(&mut said)).await.context("it stays open")?;
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    let mut silent = TcpStream::connect(address).await?;
    let _ = timeout(LIMIT, silent.read_to_end(&mut said)).await.context("it stays open")?;
    assert_eq!(gateway.metric(r#"assay_gateway_connections_timed_out_total{state="handshake"}"#).await?, 1.0);
    gateway.stop().await
}

#[tokio::test]
async fn a_new_certificate_is_used_as_soon_as_its_secret_is_mounted_and_connections_stay() -> Result<()> {
    let folder = TempFolder::new()?;
    let first = issue(&folder.path().join("first"))?;
    let second = issue(&folder.path().join("second"))?;
    mount(folder.path(), "first")?;
    let gateway = serving(folder.path()).await?;
    let mut old = connect(&gateway, &first, b"http/1.1").await?;
    assert!(get(&mut old).await?.starts_with("HTTP/1.1 200"));
    mount(folder.path(), "second")?;
    until("the second is used", async || Ok(connect(&gateway, &second, b"http/1.1").await.is_ok())).await?;
    assert!(connect(&gateway, &first, b"http/1.1").await.is_err(), "the first is still used");
    assert!(get(&mut old).await?.starts_with("HTTP/1.1 200"), "a connection that was open goes on");
    assert_eq!(reloads(&gateway, "used").await?, 1.0);
    gateway.stop().await
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_leaves_the_one_before_in_use() -> Result<()> {
    let folder = TempFolder::new()?;
    let first = issue(&folder.path().join("first"))?;
    let second = issue(&folder.path().join("second"))?;
    issue(&folder.path().join("mixed"))?;
    std::fs::copy(folder.path().join("second/tls.crt"), folder.path().join("mixed/tls.crt"))?;
    mount(folder.path(), "first")?;
    let gateway = serving(folder.path()).await?;
    assert!(get(&mut connect(&gateway, &first, b"http/1.1").await?).await?.starts_with("HTTP/1.1 200"));
    mount(folder.path(), "mixed")?;
    until("it is refused", async || Ok(reloads(&gateway, "refused").await? == 1.0)).await?;
    assert!(get(&mut connect(&gateway, &first, b"http/1.1").await?).await?.starts_with("HTTP/1.1 200"));
    std::fs::remove_file(folder.path().join("..data"))?;
    until("that there is none is noticed", async || Ok(reloads(&gateway, "refused").await? == 2.0)).await?;
    assert!(get(&mut connect(&gateway, &first, b"http/1.1").await?).await?.starts_with("HTTP/1.1 200"));
    mount(folder.path(), "second")?;
    until("a good one is used", async || Ok(connect(&gateway, &second, b"http/1.1").await.is_ok())).await?;
    gateway.stop().await
}

#[tokio::test]
async fn a_gateway_does_not_start_with_a_certificate_that_is_none() -> Result<()> {
    let folder = TempFolder::new()?;
    issue(folder.path())?;
    std::fs::write(folder.path().join("tls.key"), "no key")?;
    let gateway = serving(folder.path()).await?;
    let failed = timeout(Duration::from_secs(10), gateway.running).await.context("it runs")??;
    let reason = format!("{:#}", failed.expect_err("it cannot have served"));
    assert!(reason.contains("--tls-cert") && reason.contains("has no key"), "{reason}");
    Ok(())
}
