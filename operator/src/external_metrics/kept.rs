//! What the Secret keeps, and what is to be done about it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{RootCertStore, ServerConfig};

use super::certificates::{self, NotMade, Pair, said};
use super::server::config;
use super::settings::Lifetimes;

/// Everything that the Secret keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Signs the certificate that is served.
    pub(super) authority: Pair,
    /// Takes its place once everybody trusts it.
    pub(super) next: Option<Pair>,
    /// Had its place before, in PEM: some replica may still serve what it signed.
    pub(super) previous: Option<String>,
    /// What is served.
    pub(super) serving: Pair,
}

const AUTHORITY: (&str, &str) = ("ca.crt", "ca.key");
const NEXT: (&str, &str) = ("next-ca.crt", "next-ca.key");
const PREVIOUS: &str = "previous-ca.crt";
const SERVING: (&str, &str) = ("tls.crt", "tls.key");

/// What somebody has asked for with an annotation of the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// A new certificate.
    Certificate,
    /// A new authority, and a new certificate of it.
    Authority,
}

/// What is to be done about what is kept. One after the other makes up a rotation during which there is no moment at which
/// something is served that is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Rest,
    /// A new authority is made. From now on it is trusted as well.
    AddAuthority,
    /// The new authority, which everybody trusts by now, signs a new certificate.
    UseAuthority,
    /// The authority signs a new certificate. The one before it is no longer needed.
    Renew,
}

impl Kept {
    /// New keys and certificates throughout.
    ///
    /// # Errors
    /// When they cannot be made.
    pub(super) fn anew(names: &[String], lifetimes: Lifetimes, now: Timestamp) -> Result<Kept, NotMade> {
        let authority = certificates::authority(lifetimes.authority, now)?;
        let serving = certificates::server(&authority, names, lifetimes.certificate, now)?;
        Ok(Kept { authority, next: None, previous: None, serving })
    }

    /// Reads the data of the Secret.
    ///
    /// # Errors
    /// When something is missing; the message names it, and nothing of what is there.
    pub(super) fn read(data: &BTreeMap<String, ByteString>) -> Result<Kept, String> {
        let text = |key: &str| {
            data.get(key)
                .and_then(|value| String::from_utf8(value.0.clone()).ok())
                .filter(|text| !text.is_empty())
        };
        let pair = |(certificate, key): (&str, &str)| {
            Some(Pair { certificate: text(certificate)?, key: text(key)? })
        };
        let needed =
            |names: (&str, &str)| pair(names).ok_or_else(|| format!("it has no {} and {}", names.0, names.1));
        Ok(Kept {
            authority: needed(AUTHORITY)?,
            next: pair(NEXT),
            previous: text(PREVIOUS),
            serving: needed(SERVING)?,
        })
    }

    /// The data of the Secret.
    pub(super) fn written(&self) -> BTreeMap<String, ByteString> {
        let mut data = BTreeMap::new();
        let mut put = |key: &str, text: &str| {
            data.insert(key.to_owned(), ByteString(text.as_bytes().to_vec()));
        };
        let pairs =
            [(AUTHORITY, Some(&self.authority)), (NEXT, self.next.as_ref()), (SERVING, Some(&self.serving))];
        for ((certificate, key), pair) in pairs {
            if let Some(pair) = pair {
                put(certificate, &pair.certificate);
                put(key, &pair.key);
            }
        }
        if let Some(previous) = &self.previous {
            put(PREVIOUS, previous);
        }
        data
    }

    /// Whether a key of the Secret is one of these.
    pub(super) fn is_key(key: &str) -> bool {
        let [authority, next, serving] =
            [AUTHORITY, NEXT, SERVING].map(|(certificate, its)| [certificate, its]);
        [authority, next, serving].concat().contains(&key) || key == PREVIOUS
    }

    /// Whom clients are to trust, in PEM.
    pub(super) fn trusted(&self) -> String {
        let next = self.next.as_ref().map(|next| next.certificate.as_str());
        [Some(self.authority.certificate.as_str()), next, self.previous.as_deref()]
            .into_iter()
            .flatten()
            .map(|pem| format!("{}\n", pem.trim()))
            .collect()
    }

    /// What serves this certificate, if it can be: the key is its own, and whoever trusts the authority and asks for the
    /// first of the names accepts it at this time.
    ///
    /// # Errors
    /// What is wrong with it, in words that do not say what is in a key.
    pub(super) fn usable(&self, names: &[String], now: Timestamp) -> Result<ServerConfig, String> {
        let chain = chain(&self.serving.certificate)?;
        let mut roots = RootCertStore::empty();
        for root in self::chain(&self.authority.certificate)? {
            roots.add(root).map_err(|error| format!("ca.crt: {error}"))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| format!("ca.crt: {error}"))?;
        let (first, others) = chain.split_first().ok_or("tls.crt has no certificate")?;
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        for name in names {
            let name = ServerName::try_from(name.as_str()).map_err(|error| format!("{name:?}: {error}"))?;
            verifier
                .verify_server_cert(first, others, &name, &[], now)
                .map_err(|error| format!("tls.crt: {error}"))?;
        }
        let key = PrivateKeyDer::from_pem_slice(self.serving.key.as_bytes())
            .map_err(|_| "tls.key has no key in PEM".to_owned())?;
        config(chain, key).map_err(|error| format!("tls.crt and tls.key: {error}"))
    }

    /// What to do now, where everybody trusts the next authority or not.
    pub(super) fn step(&self, wish: Option<Wish>, next_is_trusted: bool, now: Timestamp) -> Step {
        let is_due = |certificate: &str| {
            said(certificate).is_none_or(|said| {
                let whole = said.not_after.duration_since(said.not_before);
                now.duration_since(said.not_before) >= whole * 2 / 3
            })
        };
        if self.next.is_some() {
            return if next_is_trusted { Step::UseAuthority } else { Step::Rest };
        }
        match wish {
            Some(Wish::Authority) => Step::AddAuthority,
            _ if is_due(&self.authority.certificate) => Step::AddAuthority,
            Some(Wish::Certificate) => Step::Renew,
            None if is_due(&self.serving.certificate) => Step::Renew,
            None => Step::Rest,
        }
    }

    /// What is kept after a step.
    ///
    /// # Errors
    /// When a certificate cannot be made.
    pub(super) fn after(
        &self,
        step: Step,
        names: &[String],
        lifetimes: Lifetimes,
        now: Timestamp,
    ) -> Result<Kept, NotMade> {
        let mut kept = self.clone();
        match step {
            Step::Rest => {}
            Step::AddAuthority => kept.next = Some(certificates::authority(lifetimes.authority, now)?),
            Step::UseAuthority => {
                if let Some(next) = kept.next.take() {
                    kept.previous = Some(kept.authority.certificate);
                    kept.authority = next;
                    kept.serving = certificates::server(&kept.authority, names, lifetimes.certificate, now)?;
                }
            }
            Step::Renew => {
                kept.previous = None;
                kept.serving = certificates::server(&kept.authority, names, lifetimes.certificate, now)?;
            }
        }
        Ok(kept)
    }
}

/// The certificates in a PEM text.
pub(super) fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("no certificates in PEM: {error}"))
}

/// Whether a bundle in PEM has all certificates of another.
pub(super) fn includes(bundle: &str, pem: &str) -> bool {
    let (Ok(bundle), Ok(wanted)) = (chain(bundle), chain(pem)) else { return false };
    wanted.iter().all(|certificate| bundle.contains(certificate))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const LIFETIMES: Lifetimes =
        Lifetimes { certificate: DAY.saturating_mul(90), authority: DAY.saturating_mul(3650) };

    fn names() -> Vec<String> {
        ["metrics.assay.svc", "metrics.assay.svc.cluster.local"].map(str::to_owned).to_vec()
    }

    fn start() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().expect("a time")
    }

    fn kept() -> Kept {
        Kept::anew(&names(), LIFETIMES, start()).expect("certificates")
    }

    fn usable(kept: &Kept, now: Timestamp) -> Result<(), String> {
        kept.usable(&names(), now).map(drop)
    }

    #[test]
    fn what_is_made_can_be_used_until_it_expires_and_survives_being_written() {
        let kept = kept();
        assert_eq!(Kept::read(&kept.written()), Ok(kept.clone()));
        assert_eq!(usable(&kept, start()), Ok(()));
        assert_eq!(usable(&kept, start() + DAY * 89), Ok(()));
        assert!(usable(&kept, start() + DAY * 91).is_err());
        assert!(kept.usable(&["other.assay.svc".to_owned()], start()).is_err(), "another name");
        let mut mixed = kept.clone();
        mixed.serving.key = self::kept().serving.key;
        assert!(usable(&mixed, start()).is_err(), "another's key");
        mixed = Kept { authority: self::kept().authority, ..kept };
        assert!(usable(&mixed, start()).is_err(), "another authority");
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut data = kept().written();
        data.remove("tls.key");
        assert_eq!(Kept::read(&data), Err("it has no tls.crt and tls.key".to_owned()));
        assert_eq!(Kept::read(&BTreeMap::new()), Err("it has no ca.crt and ca.key".to_owned()));
    }

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_life_by_the_same_authority() {
        let kept = kept();
        assert_eq!(kept.step(None, false, start() + DAY * 59), Step::Rest);
        let due = start() + DAY * 60;
        assert_eq!(kept.step(None, false, due), Step::Renew);
        let renewed = kept.after(Step::Renew, &names(), LIFETIMES, due).expect("a certificate");
        assert_eq!(renewed.authority, kept.authority);
        assert_ne!(renewed.serving, kept.serving);
        assert_eq!(usable(&renewed, due + DAY * 89), Ok(()));
        assert_eq!(renewed.trusted(), kept.trusted());
        assert_eq!(renewed.step(None, false, due), Step::Rest);
    }

    #[test]
    fn at_each_moment_of_a_change_of_authority_everything_served_is_trusted() {
        let first = kept();
        let due = start() + DAY * 2434;
        for (wish, now) in [(None, due), (Some(Wish::Authority), start())] {
            assert_eq!(first.step(wish, false, now), Step::AddAuthority);
            let added = first.after(Step::AddAuthority, &names(), LIFETIMES, now).expect("an authority");
            assert_eq!(added.serving, first.serving);
            assert_eq!(added.step(wish, false, now), Step::Rest, "before everybody trusts the new one");
            assert_eq!(added.step(wish, true, now), Step::UseAuthority);
            let used = added.after(Step::UseAuthority, &names(), LIFETIMES, now).expect("a certificate");
            assert_eq!(usable(&used, now), Ok(()));
            assert!(includes(&added.trusted(), &used.authority.certificate));
            assert!(
                includes(&used.trusted(), &first.authority.certificate),
                "a replica may still serve that"
            );
            let renewed = used.after(Step::Renew, &names(), LIFETIMES, now).expect("a certificate");
            assert_eq!(renewed.trusted().trim(), renewed.authority.certificate.trim());
        }
    }

    #[test]
    fn no_certificate_outlives_its_authority() {
        let old = start() + DAY * 3600;
        let renewed = kept().after(Step::Renew, &names(), LIFETIMES, old).expect("a certificate");
        let ends = |certificate: &str| said(certificate).expect("a certificate").not_after;
        assert_eq!(ends(&renewed.serving.certificate), ends(&renewed.authority.certificate));
    }

    #[test]
    fn a_wish_is_granted_at_once() {
        assert_eq!(kept().step(Some(Wish::Certificate), false, start()), Step::Renew);
        assert_eq!(kept().step(Some(Wish::Authority), false, start()), Step::AddAuthority);
    }
}
