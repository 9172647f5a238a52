//! What we need to know of a certificate besides whether it is valid: of whom it is, and from when until when.
//!
//! Whether a certificate may be trusted is rustls' business and decided before; this only reads.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::{Timestamp, tz::TimeZone};

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// UTF8String, PrintableString, IA5String: all of them are UTF-8.
const TEXTS: [u8; 3] = [0x0c, 0x13, 0x16];

const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const ORGANIZATION: [u8; 3] = [0x55, 0x04, 0x0a];

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The common name of its subject.
    pub(super) common_name: String,
    /// The organizations of its subject.
    pub(super) organizations: BTreeSet<String>,
    /// From when on it is valid.
    pub(super) not_before: Timestamp,
    /// Until when.
    pub(super) not_after: Timestamp,
}

/// Reads a certificate; none when it cannot be read.
pub(super) fn read(certificate: &[u8]) -> Option<Said> {
    let mut certificate = Elements(Elements(certificate).expect(SEQUENCE)?);
    let mut fields = Elements(certificate.expect(SEQUENCE)?);
    if fields.0.first() == Some(&VERSION) {
        fields.next()?;
    }
    let (_serial_number, _algorithm, _issuer) = (fields.next()?, fields.next()?, fields.next()?);
    let mut validity = Elements(fields.expect(SEQUENCE)?);
    let (not_before, not_after) = (time(validity.next()?)?, time(validity.next()?)?);
    let mut said = Said { common_name: String::new(), organizations: BTreeSet::new(), not_before, not_after };
    let mut subject = Elements(fields.expect(SEQUENCE)?);
    while let Some((_, set)) = subject.next() {
        let mut set = Elements(set);
        while let Some((_, attribute)) = set.next() {
            let mut attribute = Elements(attribute);
            let kind = attribute.expect(OBJECT_IDENTIFIER)?;
            let (tag, value) = attribute.next()?;
            let text = || String::from_utf8(value.to_vec()).ok().filter(|_| TEXTS.contains(&tag));
            if kind == COMMON_NAME {
                said.common_name = text()?;
            } else if kind == ORGANIZATION {
                said.organizations.insert(text()?);
            }
        }
    }
    Some(said)
}

/// Elements of DER that follow each other.
struct Elements<'d>(&'d [u8]);

impl<'d> Elements<'d> {
    /// The tag and the content of the next one.
    fn next(&mut self) -> Option<(u8, &'d [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            ..=0x7f => (usize::from(first), rest),
            // So many bytes of length; four are more than any certificate has.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next one, which has this tag.
    fn expect(&mut self, tag: u8) -> Option<&'d [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

/// `YYMMDDhhmmssZ` of the years 1950 to 2049, or `YYYYMMDDhhmmssZ`.
fn time((tag, text): (u8, &[u8])) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let time = DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
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
