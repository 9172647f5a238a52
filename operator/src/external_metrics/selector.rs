//! Label selectors as Kubernetes writes them: `pool=default`, `pool in (a, b), release!=old`, `!pool`.

use std::str::Chars;

/// Which labels something must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    condition: Condition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Exists,
    Absent,
    In(Vec<String>),
    /// Also met by what lacks the label.
    NotIn(Vec<String>),
}

/// The text is not a label selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the label selector {selector:?}: {mistake}")]
pub(super) struct InvalidSelector {
    selector: String,
    mistake: String,
}

impl Selector {
    /// Reads a selector. An empty one selects everything.
    ///
    /// # Errors
    /// When it is not one; the message names the mistake.
    pub(super) fn parse(text: &str) -> Result<Selector, InvalidSelector> {
        let invalid = |mistake| InvalidSelector { selector: text.to_owned(), mistake };
        Parser::new(text).selector().map_err(invalid)
    }

    /// Whether something with these labels is selected.
    pub(super) fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|Requirement { key, condition }| {
            let value = label(key);
            let is_among = |values: &[String]| value.is_some_and(|value| values.iter().any(|v| v == value));
            match condition {
                Condition::Exists => value.is_some(),
                Condition::Absent => value.is_none(),
                Condition::In(values) => is_among(values),
                Condition::NotIn(values) => !is_among(values),
            }
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Comma,
    Open,
    Close,
    Equal,
    NotEqual,
    Not,
    End,
}

struct Parser<'t> {
    rest: Chars<'t>,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Parser<'t> {
        Parser { rest: text.chars() }
    }

    fn selector(mut self) -> Result<Selector, String> {
        let mut requirements = Vec::new();
        if self.peek()? == Token::End {
            return Ok(Selector { requirements });
        }
        loop {
            requirements.push(self.requirement()?);
            match self.next()? {
                Token::Comma => {}
                Token::End => return Ok(Selector { requirements }),
                other => return Err(format!("found {} where ',' or the end was expected", other.shown())),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let (negated, key) = match self.next()? {
            Token::Not => (true, self.word("the key of a label behind '!'")?),
            Token::Word(key) => (false, key),
            other => return Err(format!("found {} where the key of a label was expected", other.shown())),
        };
        check_key(&key)?;
        if negated {
            return Ok(Requirement { key, condition: Condition::Absent });
        }
        let condition = match self.peek()? {
            Token::Comma | Token::End => Condition::Exists,
            Token::Equal => Condition::In(vec![self.one_value()?]),
            Token::NotEqual => Condition::NotIn(vec![self.one_value()?]),
            Token::Word(word) if word == "in" => Condition::In(self.values()?),
            Token::Word(word) if word == "notin" => Condition::NotIn(self.values()?),
            other => {
                return Err(format!(
                    "found {} behind {key:?} where '=', '==', '!=', 'in' or 'notin' was expected",
                    other.shown()
                ));
            }
        };
        Ok(Requirement { key, condition })
    }

    /// The value behind an operator; none is the empty one.
    fn one_value(&mut self) -> Result<String, String> {
        self.next()?;
        if !matches!(self.peek()?, Token::Word(_)) {
            return Ok(String::new());
        }
        let value = self.word("a value")?;
        check_value(&value)?;
        Ok(value)
    }

    /// `(a, b)` behind `in` or `notin`; like Kubernetes, one that is left out is the empty value.
    fn values(&mut self) -> Result<Vec<String>, String> {
        self.next()?;
        if self.next()? != Token::Open {
            return Err("'in' and 'notin' are followed by values in brackets".to_owned());
        }
        let mut values = Vec::new();
        loop {
            let value = match self.peek()? {
                Token::Word(_) => self.word("a value")?,
                _ => String::new(),
            };
            check_value(&value)?;
            values.push(value);
            match self.next()? {
                Token::Comma => {}
                Token::Close => return Ok(values),
                other => return Err(format!("found {} where ',' or ')' was expected", other.shown())),
            }
        }
    }

    fn word(&mut self, what: &str) -> Result<String, String> {
        match self.next()? {
            Token::Word(word) => Ok(word),
            other => Err(format!("found {} where {what} was expected", other.shown())),
        }
    }

    fn peek(&mut self) -> Result<Token, String> {
        let before = self.rest.clone();
        let token = self.next();
        self.rest = before;
        token
    }

    fn next(&mut self) -> Result<Token, String> {
        while self.rest.as_str().starts_with(char::is_whitespace) {
            self.rest.next();
        }
        let text = self.rest.as_str();
        let simple = [
            ("==", Token::Equal),
            ("=", Token::Equal),
            ("!=", Token::NotEqual),
            ("!", Token::Not),
            (",", Token::Comma),
            ("(", Token::Open),
            (")", Token::Close),
        ];
        for (sign, token) in simple {
            if let Some(rest) = text.strip_prefix(sign) {
                self.rest = rest.chars();
                return Ok(token);
            }
        }
        if text.starts_with(['<', '>']) {
            return Err("'<' and '>' compare numbers, and no label here is one".to_owned());
        }
        let ends = |c: char| c.is_whitespace() || "=!,()<>".contains(c);
        let (word, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
        self.rest = rest.chars();
        Ok(if word.is_empty() { Token::End } else { Token::Word(word.to_owned()) })
    }
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Token::Word(word) => format!("{word:?}"),
            Token::Comma => "','".to_owned(),
            Token::Open => "'('".to_owned(),
            Token::Close => "')'".to_owned(),
            Token::Equal => "'='".to_owned(),
            Token::NotEqual => "'!='".to_owned(),
            Token::Not => "'!'".to_owned(),
            Token::End => "the end".to_owned(),
        }
    }
}

/// A name, with the domain of whoever gave it in front if need be: `assay.dev/pool`.
fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let prefix_is_domain = prefix.is_none_or(|prefix| {
        (1..=253).contains(&prefix.len())
            && prefix.split('.').all(|part| is_name(part) && !part.contains(['_', '.']))
            && !prefix.contains(|c: char| c.is_ascii_uppercase())
    });
    if !name.is_empty() && is_name(name) && prefix_is_domain {
        return Ok(());
    }
    Err(format!("{key:?} cannot be the key of a label"))
}

fn check_value(value: &str) -> Result<(), String> {
    if value.is_empty() || is_name(value) {
        return Ok(());
    }
    Err(format!("{value:?} cannot be the value of a label"))
}

/// At most 63 of letters, digits, '-', '_' and '.', beginning and ending with a letter or digit.
fn is_name(text: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let at_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63 && text.chars().all(inside) && at_end(text.chars().next()) && at_end(text.chars().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(selector: &str, pool: &str) -> bool {
        let selector = Selector::parse(selector).unwrap_or_else(|error| panic!("{error}"));
        selector.matches(|key| (key == "pool").then_some(pool))
    }

    #[test]
    fn selectors_mean_what_they_mean_to_kubernetes() {
        for (selector, with_a, with_b) in [
            ("", true, true),
            ("  ", true, true),
            ("pool=a", true, false),
            ("pool==a", true, false),
            (" pool = a ", true, false),
            ("pool!=a", false, true),
            ("pool in (a)", true, false),
            ("pool in (a,b)", true, true),
            ("pool in(c , b)", false, true),
            ("pool notin (a, c)", false, true),
            ("pool", true, true),
            ("!pool", false, false),
            ("!assay.dev/pool", true, true),
            ("assay.dev/pool", false, false),
            ("pool=", false, false),
            ("pool!=", true, true),
            ("pool in ()", false, false),
            ("pool,pool=a", true, false),
            ("pool in (a,b),pool!=b", true, false),
            // What lacks a label is not equal to any value.
            ("release!=x", true, true),
            ("release notin (x)", true, true),
            ("release=x", false, false),
            ("in in (in)", false, false),
        ] {
            assert_eq!((selects(selector, "a"), selects(selector, "b")), (with_a, with_b), "{selector:?}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused_and_the_mistake_named() {
        for (selector, named) in [
            (",", "found ',' where the key of a label"),
            ("pool=a,", "found the end where the key of a label"),
            ("pool=a b", "found \"b\" where ',' or the end"),
            ("pool in a", "values in brackets"),
            ("pool in (a", "found the end where ',' or ')'"),
            ("pool within (a)", "found \"within\" behind \"pool\""),
            ("!", "found the end where the key of a label behind '!'"),
            ("!pool=a", "found '=' where ',' or the end"),
            ("pool>1", "'<' and '>' compare numbers"),
            ("-pool", "\"-pool\" cannot be the key"),
            ("Assay.dev/pool", "cannot be the key"),
            ("a/b/c", "cannot be the key"),
            ("pool=ä", "cannot be the value"),
            (&format!("pool={}", "a".repeat(64)), "cannot be the value"),
        ] {
            let error = Selector::parse(selector).expect_err(selector).to_string();
            assert!(error.contains(named), "{selector:?}: {error}");
        }
    }
}
