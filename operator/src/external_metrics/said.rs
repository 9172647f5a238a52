//! What we need to know of a certificate besides whether it is valid: of whom it is, and from when until when.
//!
//! Whether a certificate may be trusted is rustls' business and decided apart; this only reads.

use std::collections::BTreeSet;

use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::Decode;
use x509_cert::der::oid::db::rfc4519::{COMMON_NAME, ORGANIZATION_NAME};
use x509_cert::ext::pkix::name::DirectoryString;
use x509_cert::time::Time;

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The common name of its subject: of several the last, as Kubernetes has it.
    pub(super) common_name: String,
    /// The organizations of its subject.
    pub(super) organizations: BTreeSet<String>,
    /// From when on it is valid.
    pub(super) not_before: Timestamp,
    /// Until when.
    pub(super) not_after: Timestamp,
}

/// Reads a certificate (DER); none when it cannot be read.
pub(super) fn read(certificate: &[u8]) -> Option<Said> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let (subject, validity) =
        (certificate.tbs_certificate().subject(), certificate.tbs_certificate().validity());
    let named = |oid| subject.iter().filter(move |attribute| attribute.oid == oid).map(text);
    let common_names: Vec<String> = named(COMMON_NAME).collect::<Option<_>>()?;
    Some(Said {
        common_name: common_names.into_iter().next_back().unwrap_or_default(),
        organizations: named(ORGANIZATION_NAME).collect::<Option<_>>()?,
        not_before: timestamp(validity.not_before)?,
        not_after: timestamp(validity.not_after)?,
    })
}

fn text(attribute: &AttributeTypeAndValue) -> Option<String> {
    Some(attribute.value.decode_as::<DirectoryString>().ok()?.value().into_owned())
}

fn timestamp(time: Time) -> Option<Timestamp> {
    Timestamp::from_second(time.to_unix_duration().as_secs().try_into().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn certificate() -> Vec<u8> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::OrganizationName, "a team");
        parameters.distinguished_name.push(DnType::CommonName, "Ännchen");
        parameters.not_before = date_time_ymd(2001, 2, 3);
        parameters.not_after = date_time_ymd(2071, 2, 3);
        let key = KeyPair::generate().expect("a key");
        parameters.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn a_certificate_says_of_whom_it_is_and_when_it_is_valid() {
        let said = read(&certificate()).expect("a certificate");
        assert_eq!(said.common_name, "Ännchen");
        assert_eq!(said.organizations, BTreeSet::from(["a team".to_owned()]));
        assert_eq!(said.not_before, "2001-02-03T00:00:00Z".parse().expect("a time"));
        assert_eq!(said.not_after, "2071-02-03T00:00:00Z".parse().expect("a time"));
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_read_as_nothing_or_something_and_never_panics() {
        let whole = certificate();
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "the first {length} bytes");
        }
        for at in 0..whole.len() {
            for value in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                let _ = read(&damaged);
            }
        }
    }
}
