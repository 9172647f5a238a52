//! The headers that several operations have in common: what each means, and what it brings with it.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Header, HttpMethod, ObjectBuilder, RefOr, Required, Response, ResponseBuilder, Type};

use crate::problem::Code;

/// A header that requests may have.
struct Taken {
    name: &'static str,
    meaning: &'static str,
    pattern: Option<&'static str>,
    /// What may be wrong with it.
    codes: &'static [Code],
    /// A header that answers have because of it.
    answered: Option<(&'static str, &'static str)>,
    /// A status that there is only because of it.
    status: Option<(u16, &'static str)>,
}

const ETAG: (&str, &str) = ("ETag", "Names this state of it.");

static TAKEN: [Taken; 5] = [
    Taken {
        name: "Idempotency-Key",
        meaning: "Whoever repeats the request under the same key has the same answer, and nothing is done twice.",
        pattern: Some(r#"^([!#-+\-.-:<-~]{1,255}|"[ !#-\[\]-~]{1,255}")$"#),
        codes: &[
            Code::InvalidIdempotencyKey,
            Code::RequestInProgress,
            Code::IdempotencyKeyReused,
            // What is asked for is compared to the byte.
            Code::BodyTooLarge,
            Code::BodyTimeout,
        ],
        answered: Some(("Idempotency-Replayed", "`true` on the answer to a repetition.")),
        status: None,
    },
    Taken {
        name: "If-Match",
        meaning: "An `ETag`: do so only if it is still in that state.",
        pattern: None,
        codes: &[Code::PreconditionFailed],
        answered: None,
        status: None,
    },
    Taken {
        name: "If-None-Match",
        meaning: "The `ETag` of the state that the client has: it is not sent again.",
        pattern: None,
        codes: &[],
        answered: Some(ETAG),
        status: Some((304, "It is in the state that the client has.")),
    },
    Taken {
        name: "Prefer",
        meaning: "`wait=N`: answer once it has ended or, with `If-None-Match`, is in another state; after N seconds, of \
                  at most 60, in any case.",
        pattern: None,
        codes: &[Code::TooManyWatchers],
        answered: Some(("Preference-Applied", "That the answer was put off, and for how long at most.")),
        status: None,
    },
    Taken {
        name: "Last-Event-ID",
        meaning: "The last event that the client has: the stream goes on behind it.",
        pattern: None,
        codes: &[Code::TooManyWatchers],
        answered: None,
        status: Some((204, "It has ended, and the client has its last state.")),
    },
];

/// The headers of every answer to somebody who is let in.
const ALWAYS: [(&str, &str); 2] = [
    ("RateLimit", "By limit: how much it leaves, and in how many seconds it leaves all."),
    ("RateLimit-Policy", "By limit: so much, in so many seconds."),
];

/// Says what the operation's headers mean, and what is answered because of them.
pub(super) fn complete(method: &HttpMethod, operation: &mut Operation) {
    if *method == HttpMethod::Post {
        let key = ParameterBuilder::new().name("Idempotency-Key").parameter_in(ParameterIn::Header);
        operation.parameters.get_or_insert_default().push(RefOr::T(key.required(Required::False).build()));
    }
    for taken in taken(operation) {
        if let Some((status, meaning)) = taken.status {
            let answer = ResponseBuilder::new().description(meaning).build();
            operation.responses.responses.insert(status.to_string(), RefOr::T(answer));
        }
        if let Some((name, meaning)) = taken.answered {
            for answer in successes(operation) {
                answer.headers.insert(name.to_owned(), RefOr::T(text(meaning)));
            }
        }
    }
    for parameter in parameters(operation) {
        if let Some(taken) = TAKEN.iter().find(|taken| taken.name == parameter.name) {
            let schema = ObjectBuilder::new().schema_type(Type::String).pattern(taken.pattern);
            parameter.description = Some(taken.meaning.to_owned());
            parameter.schema = Some(RefOr::T(schema.into()));
        }
    }
    for (name, meaning) in ALWAYS {
        for answer in successes(operation) {
            answer.headers.insert(name.to_owned(), RefOr::T(text(meaning)));
        }
    }
}

/// The codes that come from the headers that the operation takes.
pub(super) fn codes(operation: &Operation) -> impl Iterator<Item = Code> {
    taken(operation).into_iter().flat_map(|taken| taken.codes.iter().copied())
}

/// What comes with a problem of this status.
pub(super) fn of_problem(status: u16) -> Vec<(&'static str, Header)> {
    let mut headers: Vec<_> = ALWAYS.into_iter().map(|(name, meaning)| (name, text(meaning))).collect();
    match status {
        401 => headers = vec![("WWW-Authenticate", text("What to send instead (RFC 6750)."))],
        409 | 429 | 503 => headers.push(("Retry-After", seconds("When to ask again, in seconds."))),
        _ => {}
    }
    headers
}

fn taken(operation: &Operation) -> Vec<&'static Taken> {
    let names = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Header => Some(&parameter.name),
        _ => None,
    });
    names.filter_map(|name| TAKEN.iter().find(|taken| taken.name == name)).collect()
}

fn parameters(operation: &mut Operation) -> impl Iterator<Item = &mut Parameter> {
    operation.parameters.iter_mut().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    })
}

fn successes(operation: &mut Operation) -> impl Iterator<Item = &mut Response> {
    operation.responses.responses.iter_mut().filter_map(|(status, answer)| match answer {
        RefOr::T(answer) if status.starts_with(['2', '3']) => Some(answer),
        _ => None,
    })
}

fn text(meaning: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    HeaderBuilder::new().schema(Some(schema)).description(Some(meaning)).build()
}

fn seconds(meaning: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    HeaderBuilder::new().schema(Some(schema)).description(Some(meaning)).build()
}
