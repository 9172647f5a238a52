//! Who asks.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::said;
use super::trust::{FrontProxy, Trust};

/// Whom every caller belongs to who proves who he is.
const AUTHENTICATED: &str = "system:authenticated";

/// Whom those belong to who do not, and what they are called.
const UNAUTHENTICATED: &str = "system:unauthenticated";
const ANONYMOUS: &str = "system:anonymous";

/// A user as Kubernetes knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Caller {
    pub(super) user: String,
    pub(super) uid: String,
    pub(super) groups: Vec<String>,
    pub(super) extra: BTreeMap<String, Vec<String>>,
}

/// Who asks, by the certificates that the connection proved and by the headers of the request. Headers are believed of
/// the API server alone; whoever else has a valid certificate is who it says. None: nobody is known to ask.
pub(super) fn identify(
    trust: &Trust,
    chain: &[CertificateDer<'_>],
    headers: &HeaderMap,
    now: UnixTime,
) -> Option<Caller> {
    let said = said::read(chain.first()?)?;
    if let Some(proxy) = &trust.front_proxy
        && proxy.authority.has_signed(chain, now)
        && (proxy.allowed_names.is_empty() || proxy.allowed_names.contains(&said.common_name))
        && let Some(caller) = named_by(proxy, headers)
    {
        return Some(caller);
    }
    let clients = trust.clients.as_ref()?;
    if said.common_name.is_empty() || !clients.has_signed(chain, now) {
        return None;
    }
    let mut groups: Vec<String> = said.organizations.into_iter().collect();
    groups.push(AUTHENTICATED.to_owned());
    Some(Caller { user: said.common_name, groups, ..Caller::default() })
}

/// Whom the API server names. None when it names nobody, as when it looks whether this server is there.
fn named_by(proxy: &FrontProxy, headers: &HeaderMap) -> Option<Caller> {
    let first = |names: &[String]| {
        let values = names.iter().flat_map(|name| headers.get_all(name));
        values.filter_map(|value| value.to_str().ok()).find(|value| !value.is_empty()).map(str::to_owned)
    };
    let user = first(&proxy.user_headers)?;
    let groups = proxy.group_headers.iter().flat_map(|name| headers.get_all(name));
    let mut groups: Vec<String> = groups.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
    // As all servers behind the API server have it, which counts on that: in its own name, without groups, it asks what
    // there is. Were it refused, no namespace could be deleted in the whole cluster.
    if user != ANONYMOUS && !groups.iter().any(|group| group == AUTHENTICATED || group == UNAUTHENTICATED) {
        groups.push(AUTHENTICATED.to_owned());
    }
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        if let (Some(key), Ok(value)) = (extra_key(proxy, name), value.to_str()) {
            extra.entry(key).or_default().push(value.to_owned());
        }
    }
    Some(Caller { user, uid: first(&proxy.uid_headers).unwrap_or_default(), groups, extra })
}

/// What stands behind the prefix, where characters that no header may have are written as `%2f`.
fn extra_key(proxy: &FrontProxy, header: &HeaderName) -> Option<String> {
    let prefixes = proxy.extra_header_prefixes.iter();
    let encoded = prefixes
        .filter_map(|prefix| header.as_str().strip_prefix(&prefix.to_ascii_lowercase()))
        .find(|key| !key.is_empty())?;
    let decoded = percent_decode_str(encoded).decode_utf8();
    Some(decoded.map_or_else(|_| encoded.to_owned(), Cow::into_owned))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use axum::http::HeaderValue;
    use rcgen::{
        BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
        KeyPair,
    };

    use super::*;

    struct Signer {
        certificate: Certificate,
        issuer: Issuer<'static, KeyPair>,
    }

    impl Signer {
        fn new() -> Signer {
            let mut parameters = CertificateParams::default();
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().expect("a key");
            let certificate = parameters.self_signed(&key).expect("a certificate");
            Signer { certificate, issuer: Issuer::new(parameters, key) }
        }

        fn sign(&self, name: &str, use_for: ExtendedKeyUsagePurpose) -> Vec<CertificateDer<'static>> {
            let mut parameters = CertificateParams::default();
            parameters.distinguished_name.push(DnType::OrganizationName, "team");
            parameters.distinguished_name.push(DnType::CommonName, name);
            parameters.extended_key_usages = vec![use_for];
            let key = KeyPair::generate().expect("a key");
            vec![parameters.signed_by(&key, &self.issuer).expect("a certificate").der().clone()]
        }

        fn client(&self, name: &str) -> Vec<CertificateDer<'static>> {
            self.sign(name, ExtendedKeyUsagePurpose::ClientAuth)
        }
    }

    fn trust(proxy: &Signer, clients: Option<&Signer>) -> Trust {
        let mut data = BTreeMap::from([
            ("requestheader-client-ca-file", proxy.certificate.pem()),
            ("requestheader-allowed-names", r#"["front-proxy"]"#.to_owned()),
            ("requestheader-username-headers", r#"["X-Remote-User"]"#.to_owned()),
            ("requestheader-uid-headers", r#"["X-Remote-Uid"]"#.to_owned()),
            ("requestheader-group-headers", r#"["X-Remote-Group"]"#.to_owned()),
            ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#.to_owned()),
        ]);
        if let Some(clients) = clients {
            data.insert("client-ca-file", clients.certificate.pem());
        }
        Trust::read(&data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()).expect("trust")
    }

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-remote-user", "ann"),
            ("x-remote-uid", "u-1"),
            ("x-remote-group", "system:authenticated"),
            ("x-remote-group", "admins"),
            ("x-remote-extra-scopes%2fa", "one"),
            ("x-remote-extra-scopes%2fa", "two"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn now() -> UnixTime {
        UnixTime::since_unix_epoch(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970"))
    }

    #[test]
    fn whom_the_proved_api_server_names_is_who_asks() {
        let proxy = Signer::new();
        let caller = identify(&trust(&proxy, None), &proxy.client("front-proxy"), &headers(), now());
        assert_eq!(
            caller,
            Some(Caller {
                user: "ann".to_owned(),
                uid: "u-1".to_owned(),
                groups: vec!["system:authenticated".to_owned(), "admins".to_owned()],
                extra: BTreeMap::from([("scopes/a".to_owned(), vec!["one".to_owned(), "two".to_owned()])]),
            })
        );
    }

    #[test]
    fn who_is_named_without_groups_is_authenticated_unless_anonymous() {
        let proxy = Signer::new();
        let groups = |user: &'static str, group: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.append("x-remote-user", HeaderValue::from_static(user));
            if let Some(group) = group {
                headers.append("x-remote-group", HeaderValue::from_static(group));
            }
            let caller = identify(&trust(&proxy, None), &proxy.client("front-proxy"), &headers, now());
            caller.expect("a caller").groups
        };
        assert_eq!(groups("system:kube-aggregator", None), [AUTHENTICATED]);
        assert_eq!(groups("ann", Some("admins")), ["admins", AUTHENTICATED]);
        assert_eq!(groups("ann", Some(AUTHENTICATED)), [AUTHENTICATED]);
        assert_eq!(groups(ANONYMOUS, Some(UNAUTHENTICATED)), [UNAUTHENTICATED]);
        assert_eq!(groups(ANONYMOUS, None), [""; 0]);
    }

    #[test]
    fn headers_of_anybody_else_say_nothing() {
        let (proxy, clients, stranger) = (Signer::new(), Signer::new(), Signer::new());
        let both = trust(&proxy, Some(&clients));
        let far = UnixTime::since_unix_epoch(Duration::from_secs(1 << 40));
        for (chain, at, why) in [
            (vec![], now(), "no certificate"),
            (proxy.client("somebody"), now(), "a name that is not allowed"),
            (stranger.client("front-proxy"), now(), "another CA"),
            (proxy.sign("front-proxy", ExtendedKeyUsagePurpose::ServerAuth), now(), "a server's certificate"),
            (proxy.client("front-proxy"), far, "an expired certificate"),
            (vec![CertificateDer::from(vec![1, 2, 3])], now(), "garbage"),
        ] {
            assert_eq!(identify(&both, &chain, &headers(), at), None, "{why}");
        }
        assert_eq!(identify(&both, &proxy.client("front-proxy"), &HeaderMap::new(), now()), None);
    }

    #[test]
    fn a_client_with_a_certificate_of_its_own_is_who_that_says_whatever_the_headers() {
        let (proxy, clients) = (Signer::new(), Signer::new());
        let caller = identify(&trust(&proxy, Some(&clients)), &clients.client("bob"), &headers(), now());
        let groups = vec!["team".to_owned(), AUTHENTICATED.to_owned()];
        assert_eq!(caller, Some(Caller { user: "bob".to_owned(), groups, ..Caller::default() }));
        // A cluster may have one CA for both.
        let one = trust(&proxy, Some(&proxy));
        let caller = identify(&one, &proxy.client("somebody"), &headers(), now()).expect("a caller");
        assert_eq!(caller.user, "somebody");
    }
}
