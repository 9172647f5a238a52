//! Reading `Forwarded` (RFC 7239) and `X-Forwarded-For`: who is said to have asked whom, the first to ask first. What is no
//! address is `None`: somebody stood there.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderName, header};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// By `X-Forwarded-For`, if it is there.
pub(super) fn by_x_forwarded_for(headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    let lines = lines(headers, &X_FORWARDED_FOR)?;
    Some(lines.iter().flat_map(|line| line.split(',')).map(address).collect())
}

/// By `Forwarded`, if it is there.
pub(super) fn by_forwarded(headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    let lines = lines(headers, &header::FORWARDED)?;
    let elements = lines.iter().flat_map(|line| split_unquoted(line, ','));
    Some(elements.map(|element| address(asked_by(element)?)).collect())
}

/// All lines of a header, as text: what is no text is garbage of its own.
fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Vec<&'a str>> {
    let lines: Vec<&str> =
        headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("unreadable")).collect();
    Some(lines).filter(|lines| !lines.is_empty())
}

/// The value of `for` in an element such as `for=192.0.2.1;proto=https`.
fn asked_by(element: &str) -> Option<&str> {
    split_unquoted(element, ';').into_iter().find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        name.eq_ignore_ascii_case("for").then_some(unquoted)
    })
}

/// Splits where the separator does not stand within quotes.
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut begin, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if letter == separator && !quoted => {
                parts.push(&text[begin..at]);
                begin = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

/// An address, with a port or without.
fn address(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    let parsed = if let Some(rest) = node.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_number);
        is_port.then(|| address.parse::<Ipv6Addr>().ok()).flatten().map(IpAddr::from)
    } else {
        match node.split_once(':') {
            Some((address, port)) if is_number(port) => {
                address.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::from)
            }
            _ => node.parse().ok(),
        }
    };
    parsed.map(|address: IpAddr| address.to_canonical())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn addresses_come_with_ports_and_brackets_or_without() {
        let read = |text: &str| address(text).map(|address| address.to_string());
        assert_eq!(read(" 192.0.2.1 ").as_deref(), Some("192.0.2.1"));
        assert_eq!(read("192.0.2.1:8080").as_deref(), Some("192.0.2.1"));
        assert_eq!(read("2001:db8::1").as_deref(), Some("2001:db8::1"));
        assert_eq!(read("[2001:db8::1]").as_deref(), Some("2001:db8::1"));
        assert_eq!(read("[2001:db8::1]:443").as_deref(), Some("2001:db8::1"));
        assert_eq!(read("::ffff:192.0.2.1").as_deref(), Some("192.0.2.1"));
        for garbage in
            ["", "unknown", "_x", "192.0.2", "192.0.2.1:", "192.0.2.1:x", "[192.0.2.1]", "[::1", "[::1]x"]
        {
            assert_eq!(read(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn forwarded_is_read_with_its_quotes_and_other_parameters() {
        let path = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::FORWARDED, HeaderValue::from_static(value))]);
            let path = by_forwarded(&headers).expect("the header is there");
            path.iter()
                .map(|hop| hop.map_or("-".to_owned(), |it| it.to_string()))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            path("for=192.0.2.1;proto=https;by=203.0.113.1, FOR=198.51.100.2"),
            "192.0.2.1 198.51.100.2"
        );
        assert_eq!(path(r#"for="[2001:db8:cafe::17]:4711""#), "2001:db8:cafe::17");
        assert_eq!(path(r#"by="a,b;for=1.1.1.1";for=192.0.2.1"#), "192.0.2.1");
        assert_eq!(path(r#"by="\"";for=192.0.2.1"#), "192.0.2.1");
        assert_eq!(path("for=unknown, for=_x, proto=http, "), "- - - -");
        assert_eq!(path(r#"for="192.0.2.1"#), "-");
    }
}
