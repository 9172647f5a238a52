//! Whose request it is, by the word of those who can be believed.

mod forwarded;

use std::net::IpAddr;

use axum::http::HeaderMap;
use clap::Args;
use ipnet::IpNet;

/// The proxies in front.
#[derive(Args, Clone, Debug)]
pub struct ProxyFlags {
    /// Networks of the proxies in front, separated by commas, such as `10.0.0.0/8,fd00::/8`: what they say in Forwarded
    /// or X-Forwarded-For about whom they ask for is believed.
    #[arg(long, env = "ASSAY_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpNet>,
}

/// Whether an address is that of a proxy whose word is believed.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// The address that a request comes from: that of the peer, or when it is a trusted proxy, the one it names.
///
/// Each proxy adds whom it was asked by at the right, so that the list is believed from there up to the first address
/// that is not a trusted proxy's; what stands left of that anybody may have written. Where something stands that is no
/// address, the proxy that let it stand there is all that is known. A proxy that says one thing in one header and another
/// in the other has passed on a header that its client made up, and it cannot be told which: it is all that is known, too.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let first = |path: Option<Vec<Option<IpAddr>>>| path.map(|path| first_untrusted(peer, &path, trusted));
    match (first(forwarded::by_x_forwarded_for(headers)), first(forwarded::by_forwarded(headers))) {
        (None, None) => peer,
        (Some(address), None) | (None, Some(address)) => address,
        (Some(one), Some(other)) if one == other => one,
        (Some(_), Some(_)) => peer,
    }
}

fn first_untrusted(peer: IpAddr, path: &[Option<IpAddr>], trusted: &[IpNet]) -> IpAddr {
    let mut nearest = peer;
    for hop in path.iter().rev() {
        let Some(address) = hop else { break };
        nearest = *address;
        if !is_trusted(nearest, trusted) {
            break;
        }
    }
    nearest
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn from(peer: &str, fields: &[(&'static str, &str)]) -> String {
        let trusted: Vec<IpNet> =
            ["10.0.0.0/8", "fd00::/8"].iter().map(|net| net.parse().expect("a network")).collect();
        let headers = fields.iter().map(|(name, value)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            (HeaderName::from_static(name), value)
        });
        let headers = headers.fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        });
        client(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn who_is_no_trusted_proxy_speaks_for_nobody_else() {
        let made_up = [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=203.0.113.9")];
        assert_eq!(from("198.51.100.7", &made_up), "198.51.100.7");
        assert_eq!(from("198.51.100.7", &[]), "198.51.100.7");
    }

    #[test]
    fn a_trusted_proxy_names_its_client_and_what_the_client_wrote_is_not_believed() {
        assert_eq!(from(PROXY, &[("x-forwarded-for", "203.0.113.9")]), "203.0.113.9");
        assert_eq!(from(PROXY, &[("x-forwarded-for", "1.2.3.4, 203.0.113.9")]), "203.0.113.9");
        assert_eq!(from(PROXY, &[("x-forwarded-for", "1.2.3.4, 203.0.113.9, 10.9.9.9")]), "203.0.113.9");
        assert_eq!(
            from(PROXY, &[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "203.0.113.9")]),
            "203.0.113.9"
        );
        assert_eq!(
            from("fd00::1", &[("forwarded", r#"for=1.2.3.4, For="[2001:db8::1]:80""#)]),
            "2001:db8::1"
        );
    }

    #[test]
    fn a_proxy_that_names_nobody_is_all_that_is_known() {
        assert_eq!(from(PROXY, &[]), PROXY);
        for garbage in ["", "unknown", "1.2.3.4, ", "1.2.3.4, 999.1.1.1", "1.2.3.4, _hidden", "\u{e9}"] {
            assert_eq!(from(PROXY, &[("x-forwarded-for", garbage)]), PROXY, "{garbage}");
        }
        assert_eq!(from(PROXY, &[("x-forwarded-for", "nonsense, 10.0.0.7")]), "10.0.0.7");
        assert_eq!(from(PROXY, &[("forwarded", "proto=https")]), PROXY);
    }

    #[test]
    fn where_all_are_trusted_the_first_of_them_asks() {
        assert_eq!(from(PROXY, &[("x-forwarded-for", "10.0.0.5, 10.0.0.6")]), "10.0.0.5");
    }

    #[test]
    fn headers_that_disagree_say_nothing() {
        let agree = [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=203.0.113.9")];
        assert_eq!(from(PROXY, &agree), "203.0.113.9");
        let disagree = [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=1.2.3.4")];
        assert_eq!(from(PROXY, &disagree), PROXY);
    }

    #[test]
    fn an_ipv4_network_also_trusts_its_addresses_in_the_clothes_of_ipv6() {
        assert_eq!(from("::ffff:10.0.0.1", &[("x-forwarded-for", "203.0.113.9")]), "203.0.113.9");
    }
}
