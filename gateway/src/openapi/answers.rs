//! The answers that routes have in common, by what they come from: an id in the path, a query, a body, or the way to
//! every route.

use std::borrow::Cow;
use std::collections::BTreeMap;

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{
    AllOfBuilder, ContentBuilder, HttpMethod, ObjectBuilder, OpenApi, PathItem, Ref, RefOr, Response,
    ResponseBuilder, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::openapi::{headers, terms};
use crate::problem::{Body, Code, Problem};

/// Where an operation lists the codes that are its own.
const PROBLEMS: &str = "x-problems";

/// Adds to each operation what it has in common with others, and says its problems in full.
pub(super) fn complete(description: &mut OpenApi) {
    let mut problems = BTreeMap::new();
    for (method, operation) in description.paths.paths.values_mut().flat_map(operations) {
        headers::complete(&method, operation);
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
    // Others refer to these by name alone.
    add(terms::File::name(), terms::File::schema());
    add(terms::Choice::name(), terms::Choice::schema());
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    let PathItem { get, put, post, delete, .. } = item;
    let operations = [
        (HttpMethod::Get, get),
        (HttpMethod::Put, put),
        (HttpMethod::Post, post),
        (HttpMethod::Delete, delete),
    ];
    operations.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
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
    codes.extend(headers::codes(operation));
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
    headers::of_problem(status)
        .into_iter()
        .fold(response, |response, (name, header)| response.header(name, header))
        .build()
}
