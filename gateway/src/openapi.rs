//! The description of the API that `/openapi.json` serves: OpenAPI 3.1, out of the routes themselves.
//!
//! What is special to a route stands at its handler, what a type holds at the type. What all routes of a kind have in
//! common is added by [`answers`] and [`headers`].

mod answers;
mod headers;
pub(crate) mod terms;

use std::sync::LazyLock;

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};

use crate::router;

/// The name of the way to say who one is.
const BEARER: &str = "bearer";

static DESCRIPTION: LazyLock<OpenApi> = LazyLock::new(|| {
    let mut description = router::describe();
    answers::complete(&mut description);
    description
});

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut text = serde_json::to_string_pretty(&*DESCRIPTION).expect("a description is JSON");
    text.push('\n');
    text
});

/// The description, as JSON.
pub fn text() -> &'static str {
    &TEXT
}

/// The templates of all routes, such as `/api/scoring/{id}`.
pub(crate) fn templates() -> impl Iterator<Item = &'static str> {
    DESCRIPTION.paths.paths.keys().map(String::as_str)
}

/// The description of an API without routes.
pub(crate) fn frame() -> OpenApi {
    let about = "Asynchronous scoring of submitted work. A submission is created, made final, and a job asked for, \
                 which is answered at once; the score arrives later.\n\n\
                 Ids are UUIDs, times are RFC 3339. What goes wrong is answered as `application/problem+json` with a \
                 `code` that does not change.";
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("A token of the identity provider that the gateway was told of."))
        .build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Assay")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(about))
                .license(Some(
                    LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build(),
                ))
                .build(),
        )
        .components(Some(
            ComponentsBuilder::new().security_scheme(BEARER, SecurityScheme::Http(bearer)).build(),
        ))
        .security(Some([SecurityRequirement::new(BEARER, Vec::<String>::new())]))
        .build()
}
