//! Making certificates.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use time::OffsetDateTime;

use super::said::{self, Said};

/// Certificates are valid from a little before they are made: the clocks of those who look at them differ.
const BACKDATED_BY: Duration = Duration::from_secs(5 * 60);

/// A certificate and its key, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// A certificate was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotMade {
    /// What it was to be made of cannot be used.
    #[error("cannot make a certificate")]
    Rcgen(#[from] rcgen::Error),
    /// Its authority cannot be read.
    #[error("cannot read the certificate of the authority")]
    Authority,
}

/// A new authority, valid for so long from now by this machine's clock.
pub(super) fn authority(lifetime: Duration, now: Timestamp) -> Result<Pair, NotMade> {
    // The time of its making tells it from the one before.
    let name = format!("assay-external-metrics-{}", now.as_millisecond());
    let mut parameters = authority_named(&name);
    parameters.not_before = at(now - BACKDATED_BY);
    parameters.not_after = at(now + lifetime);
    let key = KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// A new certificate of a server with these names, signed by the authority, valid for so long from now by this machine's
/// clock, but not for longer than its authority.
pub(super) fn server(
    authority: &Pair,
    names: &[String],
    lifetime: Duration,
    now: Timestamp,
) -> Result<Pair, NotMade> {
    let said = said(&authority.certificate).ok_or(NotMade::Authority)?;
    let issuer = Issuer::new(authority_named(&said.common_name), KeyPair::from_pem(&authority.key)?);
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name = named(names.first().map_or("", String::as_str));
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.use_authority_key_identifier_extension = true;
    parameters.not_before = at((now - BACKDATED_BY).max(said.not_before));
    parameters.not_after = at((now + lifetime).min(said.not_after));
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, &issuer)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// What a certificate in PEM says of itself.
pub(super) fn said(certificate: &str) -> Option<Said> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    said::read(&CertificateDer::from_pem_slice(certificate.as_bytes()).ok()?)
}

fn authority_named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = named(name);
    // It signs servers, and no further authorities.
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn at(time: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
