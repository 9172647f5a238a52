//! What a URL of Redis says.
//!
//! ```text
//! redis://[user:password@]host[:port][/database]                                      one server
//! redis+cluster://[user:password@]host[:port][,host[:port]...][/]                     Redis Cluster, by some of its nodes
//! redis+sentinel://[user:password@]host[:port][,host[:port]...]/PRIMARY[/database]    the primary that sentinels name
//! ```
//!
//! With `rediss` instead of `redis` it is reached over TLS, sentinels too, and must prove its name by a certificate that the
//! system trusts, or an authority in the file that `?ca_file=` names, as `sslrootcert` does for Postgres.

use std::fs;

use redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError, TlsCertificates,
};

const SENTINEL_PORT: u16 = 26379;

/// Who knows where the primary is.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// It is always here.
    Single(ConnectionInfo),
    /// The nodes of a cluster.
    Cluster {
        /// Those that the URL names: at least one.
        seeds: Vec<ConnectionInfo>,
    },
    /// Sentinels.
    Sentinel {
        /// At least one.
        sentinels: Vec<ConnectionInfo>,
        /// The name under which they watch the primary.
        primary: String,
        /// How to connect to the primary, wherever it is.
        login: ConnectionInfo,
    },
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is none of the above.
    pub(crate) fn parse(url: &str) -> Result<Address, RedisError> {
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        match scheme.split_once('+') {
            Some((scheme, "cluster")) => cluster(scheme, &Parts::of(rest)),
            Some((scheme, "sentinel")) => sentinel(scheme, &Parts::of(rest)),
            _ => Ok(Address::Single(server(url, &Parts::of(rest))?)),
        }
    }
}

/// How to connect to the server of a URL, trusting whom it says.
fn server(url: &str, parts: &Parts<'_>) -> Result<ConnectionInfo, RedisError> {
    let Some(file) = parts.value("ca_file") else {
        return url.into_connection_info();
    };
    if !url.starts_with("rediss") {
        return Err(invalid("ca_file is for rediss: without TLS nobody proves anything"));
    }
    let root_cert = fs::read(file).map_err(|error| {
        RedisError::from((
            ErrorKind::InvalidClientConfig,
            "ca_file cannot be read",
            format!("{file}: {error}"),
        ))
    })?;
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(root_cert) };
    Ok(Client::build_with_tls(url, certificates)?.get_connection_info().clone())
}

/// The same way to connect, to another host.
pub(crate) fn at(login: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
    let host = host.to_owned();
    let addr = match login.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host, port),
    };
    login.clone().set_addr(addr)
}

fn cluster(scheme: &str, parts: &Parts<'_>) -> Result<Address, RedisError> {
    if !matches!(parts.path, "" | "0") {
        return Err(invalid("Redis Cluster has only the database 0"));
    }
    let seeds = parts.hosts.iter().map(|host| {
        let url = format!("{scheme}://{}{host}/{}", parts.login, parts.query_and_fragment);
        server(&url, parts)
    });
    Ok(Address::Cluster { seeds: seeds.collect::<Result<_, _>>()? })
}

fn sentinel(scheme: &str, parts: &Parts<'_>) -> Result<Address, RedisError> {
    let (primary, database) = parts.path.split_once('/').unwrap_or((parts.path, ""));
    if primary.is_empty() {
        return Err(invalid("the path of a redis+sentinel URL begins with the name of the primary"));
    }
    let sentinels = parts.hosts.iter().map(|host| {
        let port = if has_port(host) { String::new() } else { format!(":{SENTINEL_PORT}") };
        let login = parts.sentinel_login();
        server(&format!("{scheme}://{login}{host}{port}/{}", parts.fragment), parts)
    });
    let sentinels = sentinels.collect::<Result<_, _>>()?;
    // The host is only there to make it a URL.
    let login =
        format!("{scheme}://{}{}/{database}{}", parts.login, parts.hosts[0], parts.query_and_fragment);
    Ok(Address::Sentinel { sentinels, primary: primary.to_owned(), login: server(&login, parts)? })
}

/// A URL's parts after the scheme, as they stand there.
struct Parts<'a> {
    /// `user:password@`, or empty.
    login: &'a str,
    /// One at least, which may be empty.
    hosts: Vec<&'a str>,
    /// Without slashes at its ends.
    path: &'a str,
    query: &'a str,
    /// From the `?` on.
    query_and_fragment: &'a str,
    /// From the `#` on.
    fragment: &'a str,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Parts<'a> {
        let (front, query_and_fragment) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        let (query, fragment) =
            query_and_fragment.split_at(query_and_fragment.find('#').unwrap_or(query_and_fragment.len()));
        let (authority, path) = front.split_once('/').unwrap_or((front, ""));
        let (login, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        Parts {
            login,
            hosts: hosts.split(',').collect(),
            path: path.trim_matches('/'),
            query: query.trim_start_matches('?'),
            query_and_fragment,
            fragment,
        }
    }

    /// What the query says under a name, as it stands there.
    fn value(&self, name: &str) -> Option<&'a str> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// What is said to sentinels, which have users of their own: `?sentinel_username=` and `?sentinel_password=`.
    fn sentinel_login(&self) -> String {
        match (self.value("sentinel_username"), self.value("sentinel_password")) {
            (None, None) => String::new(),
            (username, password) => {
                format!("{}:{}@", username.unwrap_or_default(), password.unwrap_or_default())
            }
        }
    }
}

/// An address of IPv6 has colons of its own, in brackets.
fn has_port(host: &str) -> bool {
    host.rfind(':') > host.rfind(']')
}

fn invalid(reason: &'static str) -> RedisError {
    (ErrorKind::InvalidClientConfig, reason).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(servers: &[ConnectionInfo]) -> Vec<String> {
        servers.iter().map(|server| server.addr().to_string()).collect()
    }

    #[test]
    fn a_cluster_is_named_by_some_of_its_nodes_with_one_login() {
        let url = "redis+cluster://user:p%40ss@one:7000,two,[::1]:7002/?protocol=resp3";
        let Ok(Address::Cluster { seeds }) = Address::parse(url) else { panic!("{url}") };
        assert_eq!(addresses(&seeds), ["one:7000", "two:6379", "::1:7002"]);
        for seed in seeds {
            assert_eq!(seed.redis_settings().username(), Some("user"));
            assert_eq!(seed.redis_settings().password(), Some("p@ss"));
            assert_eq!(seed.redis_settings().protocol(), redis::ProtocolVersion::RESP3);
        }
    }

    #[test]
    fn sentinels_are_asked_for_a_name_and_have_a_login_of_their_own() {
        let url = "redis+sentinel://:secret@one:5000,[::2],two/mymaster/3?sentinel_password=other";
        let Ok(Address::Sentinel { sentinels, primary, login }) = Address::parse(url) else {
            panic!("{url}")
        };
        assert_eq!(addresses(&sentinels), ["one:5000", "::2:26379", "two:26379"]);
        assert_eq!(primary, "mymaster");
        assert_eq!(login.redis_settings().password(), Some("secret"));
        assert_eq!(login.redis_settings().db(), 3);
        for sentinel in sentinels {
            assert_eq!(sentinel.redis_settings().password(), Some("other"));
            assert_eq!(sentinel.redis_settings().db(), 0);
        }
        assert_eq!(at(&login, "there", 6380).addr().to_string(), "there:6380");
    }

    #[test]
    fn one_server_is_what_the_client_takes_it_for() {
        let Ok(Address::Single(server)) = Address::parse("redis://host/2") else { panic!("one server") };
        assert_eq!((server.addr().to_string(), server.redis_settings().db()), ("host:6379".to_owned(), 2));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in [
            "",
            "http://host",
            "redis+cluster://",
            "redis+cluster://one,/",
            "redis+cluster://one/1",
            "redis+sentinel://one",
            "redis+sentinel://one/",
            "redis+sentinel://one/name/database",
            "http+cluster://one",
            "redis+ring://one",
            "rediss://one/?ca_file=/nowhere",
            "redis://one/?ca_file=/etc/ssl/certs/ca-certificates.crt",
        ] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }
}
