//! Text that Postgres can store: anything but NUL.

use std::borrow::Cow;

use serde_json::Value;

/// The text without NUL characters.
pub(crate) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "").into() } else { text.into() }
}

/// The JSON text without NUL characters, which hide in it as an escape. What is no JSON is left to Postgres to
/// refuse.
pub(crate) fn json_without_nul(json: &str) -> Cow<'_, str> {
    if !json.contains("\\u0000") {
        return json.into();
    }
    match serde_json::from_str::<Value>(json) {
        Ok(value) => without_nul_inside(value).to_string().into(),
        Err(_) => json.into(),
    }
}

fn without_nul_inside(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_nul(&text).into_owned()),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nul_inside).collect()),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| (without_nul(&name).into_owned(), without_nul_inside(value)))
                .collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_characters_vanish_and_the_rest_stays() {
        assert_eq!(without_nul("a\0b\0"), "ab");
        assert_eq!(without_nul("ab"), "ab");
    }

    #[test]
    fn escaped_nul_characters_vanish_but_an_escaped_backslash_is_no_nul() {
        assert_eq!(json_without_nul(r#"{"a\u0000":["x\u0000y",1]}"#), r#"{"a":["xy",1]}"#);
        assert_eq!(json_without_nul(r#"{"a":"\\u0000"}"#), r#"{"a":"\\u0000"}"#);
    }
}
