//! The answers that routes have in common, by what they come from: an id in the path, a query, a body, or the way to
//! every route.

use std::borrow::Cow;
use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{
    AllOfBuilder, ContentBuilder, Header, ObjectBuilder, OpenApi, PathItem, Ref, RefOr, Response,
    ResponseBuilder, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::openapi::terms;
use crate::problem::{Body, Code, Problem};

/// Where an operation lists the codes that are its own.
const PROBLEMS: &str = "x-problems";

/// Adds to each operation what it has in common with others, and says its problems in full.
pub(super) fn complete(description: &mut OpenApi) {
    let mut problems = BTreeMap::new();
    for operation in description.paths.paths.values_mut().flat_map(operations) {
        for answer in operation.responses.responses.values_mut() {
            if let RefOr::T(answer) = answer {
                answer.headers.extend(limits().map(|(name, header)| (name.to_owned(), RefOr::T(header))));
            }
        }
        for (status, codes) in by_status(operation) {
            let name = name(status, &codes);
            operation.responses.responses.insert(status.to_string(), Ref::from_response_name(&name).into());
            problems.entry(name).or_insert_with(|| problem(status, &codes).into());
        }
    }
    let components = description.components.get_or_insert_default();
    components.responses.extend(problems);
    let mut add = |name: Cow<str>, schema| components.schemas.insert(name.into_owned(), schema);
    add(Body::name(), Body::schema());
    add(Code::name(), Code::schema());
    // Content refers to it by name.
    add(terms::File::name(), terms::File::schema());
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, .. } = item;
    [get, put, post, delete].into_iter().flatten()
}

/// The codes that an operation may answer, those that are its own first.
fn by_status(operation: &mut Operation) -> BTreeMap<u16, Vec<Code>> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in own(operation).into_iter().chain(common(operation)) {
        let codes = by_status.entry(code.status().as_u16()).or_default();
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    by_status
}

/// Under what name a problem is described, for all operations that may answer it.
fn name(status: u16, codes: &[Code]) -> String {
    codes.iter().fold(status.to_string(), |name, code| format!("{name}.{}", code.as_str()))
}

/// The codes that the operation lists.
fn own(operation: &mut Operation) -> Vec<Code> {
    let listed = operation.extensions.as_mut().and_then(|extensions| extensions.remove(PROBLEMS));
    listed.map_or_else(Vec::new, |codes| serde_json::from_value(codes).expect("a list of codes"))
}

/// The codes that come from what the operation has.
fn common(operation: &Operation) -> Vec<Code> {
    let has = |place| {
        operation.parameters.iter().flatten().any(|parameter| match parameter {
            RefOr::T(parameter) => parameter.parameter_in == place,
            RefOr::Ref(_) => false,
        })
    };
    let mut codes = vec![
        Code::Unauthenticated,
        Code::InvalidToken,
        Code::UnusableClaims,
        Code::UriTooLong,
        Code::HeadersTooLarge,
        Code::UnsupportedEncoding,
        Code::RateLimited,
        Code::Internal,
        Code::Overloaded,
        Code::DatabaseUnavailable,
        Code::AuthenticationUnavailable,
    ];
    if has(ParameterIn::Path) {
        codes.push(Code::InvalidId);
    }
    if has(ParameterIn::Query) {
        codes.push(Code::InvalidQuery);
    }
    if operation.request_body.is_some() {
        codes.extend([
            Code::MalformedJson,
            Code::InvalidBody,
            Code::BodyTooLarge,
            Code::BodyTimeout,
            Code::UnsupportedMediaType,
        ]);
    }
    codes
}

fn problem(status: u16, codes: &[Code]) -> Response {
    let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let meanings: Vec<String> =
        codes.iter().map(|code| format!("`{}`: {}", code.as_str(), code.meaning())).collect();
    let schema = AllOfBuilder::new().item(Ref::from_schema_name(Body::name())).item(
        ObjectBuilder::new()
            .property("status", ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([status])))
            .property("code", ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names))),
    );
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response =
        ResponseBuilder::new().description(meanings.join("\n")).content(Problem::MEDIA_TYPE, content);
    headers(status)
        .into_iter()
        .fold(response, |response, (name, header)| response.header(name, header))
        .build()
}

/// What comes with a problem.
fn headers(status: u16) -> Vec<(&'static str, Header)> {
    match status {
        401 => vec![("WWW-Authenticate", header(Type::String, "What to send instead (RFC 6750)."))],
        429 | 503 => limits()
            .chain([("Retry-After", header(Type::Integer, "When to ask again, in seconds."))])
            .collect(),
        _ => limits().collect(),
    }
}

/// What is told of limits, with every answer that is subject to them.
fn limits() -> impl Iterator<Item = (&'static str, Header)> {
    let told = [
        ("RateLimit", "By limit: how much it leaves, and in how many seconds it leaves all."),
        ("RateLimit-Policy", "By limit: so much, in so many seconds."),
    ];
    told.into_iter().map(|(name, meaning)| (name, header(Type::String, meaning)))
}

fn header(kind: Type, meaning: &str) -> Header {
    HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(kind)))
        .description(Some(meaning))
        .build()
}
