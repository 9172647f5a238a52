//! How an API server proves itself to the servers of aggregated APIs: an authority and a certificate of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::folder::write_secret;

/// The common name of the API server's certificate.
const NAME: &str = "front-proxy-client";

/// An authority for certificates of clients, in a folder.
#[derive(Debug, Clone)]
pub struct FrontProxy {
    folder: PathBuf,
}

impl FrontProxy {
    /// The one in this folder, which is made if need be.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let proxy = Self { folder: folder.to_owned() };
        // Written last: what was begun and not finished is made anew.
        if proxy.key_file().exists() {
            return Ok(proxy);
        }
        let key = KeyPair::generate()?;
        write_secret(&proxy.folder.join("ca.key"), &key.serialize_pem())?;
        write_secret(&proxy.authority_file(), &authority().self_signed(&key)?.pem())?;
        let (certificate, key) = proxy.client(NAME)?;
        write_secret(&proxy.certificate_file(), &certificate)?;
        write_secret(&proxy.key_file(), &key)?;
        Ok(proxy)
    }

    /// A certificate of a client with this common name, and its key; both in PEM.
    pub fn client(&self, name: &str) -> Result<(String, String)> {
        let file = self.folder.join("ca.key");
        let key = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let issuer = Issuer::new(authority(), KeyPair::from_pem(&key)?);
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        Ok((parameters.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
    }

    /// The file with the authority's certificate in PEM.
    pub fn authority_file(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// What tells an API server to prove itself so, and how it names who asks it.
    pub(crate) fn flags(&self) -> Vec<String> {
        vec![
            format!("--requestheader-client-ca-file={}", self.authority_file().display()),
            format!("--requestheader-allowed-names={NAME}"),
            "--requestheader-username-headers=X-Remote-User".to_owned(),
            "--requestheader-group-headers=X-Remote-Group".to_owned(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
            format!("--proxy-client-cert-file={}", self.certificate_file().display()),
            format!("--proxy-client-key-file={}", self.key_file().display()),
        ]
    }

    fn certificate_file(&self) -> PathBuf {
        self.folder.join("client.crt")
    }

    fn key_file(&self) -> PathBuf {
        self.folder.join("client.key")
    }
}

fn authority() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, "front-proxy-ca");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters
}
