//! Whose client certificates count, and for what: as the API server says in its ConfigMap for servers like this one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

/// The namespace of the ConfigMap.
pub(super) const CONFIG_MAP_NAMESPACE: &str = "kube-system";

/// The name of the ConfigMap.
pub(super) const CONFIG_MAP: &str = "extension-apiserver-authentication";

/// Whom to believe.
#[derive(Debug)]
pub(super) struct Trust {
    /// The API server itself, which says who asks it.
    pub(super) front_proxy: Option<FrontProxy>,
    /// Others, who prove who they are.
    pub(super) clients: Option<Authority>,
}

/// How the API server proves itself and says who asks.
#[derive(Debug)]
pub(super) struct FrontProxy {
    pub(super) authority: Authority,
    /// The common names that its certificate may have; any when there are none.
    pub(super) allowed_names: Vec<String>,
    pub(super) user_headers: Vec<String>,
    pub(super) uid_headers: Vec<String>,
    pub(super) group_headers: Vec<String>,
    pub(super) extra_header_prefixes: Vec<String>,
}

/// Those who sign certificates of clients.
pub(super) struct Authority {
    verifier: Arc<dyn ClientCertVerifier>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

/// The ConfigMap does not say what it should.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} in the ConfigMap {CONFIG_MAP}: {mistake}")]
pub(super) struct InvalidTrust {
    key: &'static str,
    mistake: String,
}

impl Trust {
    /// Whether somebody who is known here has signed these certificates, whatever they may do.
    pub(super) fn knows(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> bool {
        let front_proxy = self.front_proxy.as_ref().map(|proxy| &proxy.authority);
        front_proxy.into_iter().chain(&self.clients).any(|authority| authority.has_signed(chain, now))
    }

    /// Reads the ConfigMap's data.
    ///
    /// # Errors
    /// When a part of it cannot be read. Half of it must not be believed.
    pub(super) fn read(data: &BTreeMap<String, String>) -> Result<Trust, InvalidTrust> {
        let list = |key: &'static str| {
            let Some(text) = data.get(key) else { return Ok(Vec::new()) };
            serde_json::from_str::<Vec<String>>(text)
                .map_err(|error| InvalidTrust { key, mistake: format!("it is no list of texts: {error}") })
        };
        let front_proxy = match Authority::read(data, "requestheader-client-ca-file")? {
            None => None,
            Some(authority) => Some(FrontProxy {
                authority,
                allowed_names: list("requestheader-allowed-names")?,
                user_headers: list("requestheader-username-headers")?,
                uid_headers: list("requestheader-uid-headers")?,
                group_headers: list("requestheader-group-headers")?,
                extra_header_prefixes: list("requestheader-extra-headers-prefix")?,
            }),
        };
        Ok(Trust { front_proxy, clients: Authority::read(data, "client-ca-file")? })
    }
}

impl Authority {
    fn read(data: &BTreeMap<String, String>, key: &'static str) -> Result<Option<Authority>, InvalidTrust> {
        let Some(pem) = data.get(key).filter(|pem| !pem.trim().is_empty()) else { return Ok(None) };
        let invalid = |mistake: String| InvalidTrust { key, mistake };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
            roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Some(Authority { verifier }))
    }

    /// Whether the first certificate leads to one of these roots, is a client's, and is valid at this time.
    pub(super) fn has_signed(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> bool {
        let Some((client, others)) = chain.split_first() else { return false };
        self.verifier.verify_client_cert(client, others, now).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_cannot_be_read_is_named() {
        for (key, value) in
            [("requestheader-client-ca-file", "no PEM"), ("client-ca-file", "-----BEGIN CERTIFICATE-----")]
        {
            let data = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            let error = Trust::read(&data).expect_err(value);
            assert_eq!(error.key, key);
        }
    }

    #[test]
    fn nobody_is_believed_where_nobody_is_named() {
        let trust = Trust::read(&BTreeMap::new()).expect("an empty ConfigMap");
        assert!(trust.front_proxy.is_none() && trust.clients.is_none());
    }
}
