//! Entity tags and the conditions that clients put on them: RFC 9110, sections 8.8.3 and 13.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use store::Version;

/// Names one state of something. Two answers with the same tag are the same, to the byte, before they are compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntityTag(String);

impl EntityTag {
    /// Of a job or a batch.
    pub(crate) fn of(version: Version) -> EntityTag {
        EntityTag(format!("{}.{}", version.number, version.priority))
    }

    /// Of what has a revision of its own, in letters and digits.
    pub(crate) fn of_revision(revision: impl Into<String>) -> EntityTag {
        EntityTag(revision.into())
    }

    /// Without the quotation marks.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn header(&self) -> HeaderValue {
        HeaderValue::try_from(format!("\"{}\"", self.0)).unwrap_or(HeaderValue::from_static("\"\""))
    }

    /// Puts the tag on an answer. It may be kept by the client itself, who asks each time whether it still holds.
    pub(crate) fn on(&self, answer: impl IntoResponse) -> Response {
        let kept = HeaderValue::from_static("private, no-cache");
        ([(header::ETAG, self.header()), (header::CACHE_CONTROL, kept)], answer).into_response()
    }

    /// 304.
    pub(crate) fn not_modified(&self) -> Response {
        self.on(StatusCode::NOT_MODIFIED)
    }
}

/// The tags that a condition names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`: any state at all.
    Any,
    /// These, without quotation marks.
    Listed(Vec<String>),
}

impl Tags {
    /// What `If-None-Match` says: an answer is wanted only of another state.
    pub(crate) fn if_none_match(headers: &HeaderMap) -> Option<Tags> {
        Tags::of(headers, &header::IF_NONE_MATCH)
    }

    /// What `If-Match` says: something is to be done only to this state.
    pub(crate) fn if_match(headers: &HeaderMap) -> Option<Tags> {
        Tags::of(headers, &header::IF_MATCH)
    }

    fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Tags> {
        let mut values = headers.get_all(name).iter().peekable();
        values.peek()?;
        let mut listed = Vec::new();
        for value in values {
            // What cannot be read names nothing.
            let mut rest = value.to_str().unwrap_or_default().trim();
            if rest == "*" {
                return Some(Tags::Any);
            }
            while let Some((tag, after)) = first_tag(rest) {
                listed.push(tag);
                rest = after.trim_start().strip_prefix(',').unwrap_or_default().trim_start();
            }
        }
        Some(Tags::Listed(listed))
    }

    /// Whether the state is among them. A weak tag counts as well, in `If-Match` too, though RFC 9110 has only strong ones
    /// count there: what makes ours weak is that the answer was compressed on its way, and they name the state all the same.
    pub(crate) fn names(&self, tag: &EntityTag) -> bool {
        match self {
            Tags::Any => true,
            Tags::Listed(listed) => listed.contains(&tag.0),
        }
    }
}

/// The tag at the beginning of a list, and what follows it.
fn first_tag(text: &str) -> Option<(String, &str)> {
    let (tag, after) = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?.split_once('"')?;
    Some((tag.to_owned(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(values: &[&'static str]) -> Tags {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_static(value));
        }
        Tags::if_match(&headers).expect("a condition")
    }

    #[test]
    fn a_list_of_tags_is_read_whatever_its_form() {
        let tag = EntityTag::of_revision("b,c");
        for values in [&[r#""a", "b,c""#][..], &[r#""a""#, r#""b,c""#], &[r#"W/"x" ,  "b,c","d""#], &["*"]] {
            assert!(tags(values).names(&tag), "{values:?}");
        }
        for values in [&["b,c"][..], &[r#""b"#], &[""], &[r#""b" "b,c""#], &[r#""B,C""#]] {
            assert!(!tags(values).names(&tag), "{values:?}");
        }
    }

    #[test]
    fn a_tag_that_was_made_weak_on_its_way_names_the_same_state() {
        let tag = EntityTag::of(Version { number: 3, priority: 5, ended: false });
        assert_eq!(tag.as_str(), "3.5");
        assert!(tags(&[r#"W/"3.5""#]).names(&tag));
    }

    #[test]
    fn without_the_header_there_is_no_condition() {
        assert_eq!(Tags::if_match(&HeaderMap::new()), None);
    }
}
