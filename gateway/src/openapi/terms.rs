//! The schemas of what the domain means by its terms.

use std::borrow::Cow;

use serde_json::json;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// An id to show what one looks like.
pub(crate) const EXAMPLE_ID: &str = "01a20bfb-22c5-7331-b0f0-2dcaab7c4f6d";

/// A term's schema under the term's name.
macro_rules! term {
    ($term:ident, $schema:expr) => {
        pub(crate) struct $term;

        impl PartialSchema for $term {
            fn schema() -> RefOr<Schema> {
                RefOr::T($schema.into())
            }
        }

        impl ToSchema for $term {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($term))
            }
        }
    };
}

term!(JobStatus, {
    one_of(
        domain::JobStatus::ALL.map(domain::JobStatus::as_str),
        "`QUEUED`: waits for a scorer or for its next attempt. `RUNNING`: a scorer holds it. `DONE`: scored. \
         `ERROR`: ended without a score.",
    )
});

term!(SubmissionStatus, {
    let all = [store::SubmissionStatus::InProgress, store::SubmissionStatus::Submitted];
    one_of(all.map(store::SubmissionStatus::as_str), "A submission can be changed until it is `SUBMITTED`.")
});

term!(AttemptOutcome, {
    one_of(
        domain::AttemptOutcome::ALL.map(domain::AttemptOutcome::as_str),
        "How an attempt ended. A `released` one was handed back unharmed and does not count.",
    )
});

term!(Cause, {
    one_of(
        domain::Cause::ALL.map(domain::Cause::as_str),
        "What ended a job that has no score. Trying again does not help with `permanent`; it may with the others.",
    )
});

term!(ErrorCode, {
    text("A stable name of why an attempt or a job failed.").examples([
        "timeout",
        "invalid_content",
        "crashed",
    ])
});

term!(Pool, {
    text("The name of a pool of scorers. `default` unless the gateway has no such pool: then its first one.")
        .pattern(Some("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))
});

term!(Priority, {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("A higher one is scored sooner."))
        .minimum(Some(0))
        .maximum(Some(9))
        .default(Some(json!(5)))
});

term!(Role, {
    one_of(
        [crate::caller::Role::Learner, crate::caller::Role::Instructor, crate::caller::Role::Admin]
            .map(crate::caller::Role::as_str),
        "What somebody may do. A later one may all that earlier ones may.",
    )
});

term!(PoolsScope, {
    one_of(
        ["all", "tenant"],
        "Of `tenant`: jobs of others are not counted, and queues, which all share, are not shown.",
    )
});

term!(QueueView, {
    one_of(["known", "away", "not_configured", "not_shown"], "Whether the numbers of the queues are there.")
});

term!(DatabaseView, {
    one_of(
        ["known", "away"],
        "Whether the numbers of the database are there. While it is `away` the last known ones are shown.",
    )
});

term!(Choice, {
    text("What a list is narrowed by.")
        .min_length(Some(1))
        .max_length(Some(253))
        .pattern(Some(r"^[^\u0000]*$"))
});

term!(Cursor, {
    text("Where a page ends. Clients take it from `nextCursor` as it is.")
        .pattern(Some("^[0-9a-f]{1,13}-[0-9a-f]{32}$"))
});

term!(Content, {
    OneOfBuilder::new()
        .description(Some(
            "What is submitted: `files`, or one text as `code`. Something has to be in them, and nothing holds a NUL \
             character. Further fields are left to the client, and kept.",
        ))
        .item(
            content()
                .title(Some("Files"))
                .property(
                    "files",
                    ArrayBuilder::new().items(RefOr::from(Ref::from_schema_name("File"))).max_items(Some(500)),
                )
                .required("files")
                .property("code", nothing()),
        )
        .item(
            content()
                .title(Some("Code"))
                .property("code", stored_text("The program."))
                .required("code")
                .property("files", nothing()),
        )
});

term!(File, {
    ObjectBuilder::new()
        .property(
            "path",
            text(
                "Relative to the submission's folder, which it does not leave; at most 512 bytes without control \
                 characters. Its extension says what the file is taken for.",
            )
            .min_length(Some(1))
            .max_length(Some(512)),
        )
        .required("path")
        .property("text", stored_text("The whole text."))
        .required("text")
});

term!(ScoringResult, {
    let points = || ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0)).maximum(Some(100));
    let test = ObjectBuilder::new()
        .property("name", text("The criterion's name."))
        .property("score", points().description(Some("Points gained.")))
        .property("max_score", points().description(Some("Points to be had.")))
        .property("status", one_of(["passed", "failed"], "Passed when all points were gained."))
        .property("output", text("What was found, in a sentence."));
    let test =
        ["name", "score", "max_score", "status", "output"].into_iter().fold(test, ObjectBuilder::required);
    ObjectBuilder::new()
        .description(Some("The results of the rubric's criteria, in the terms of Gradescope's results.json."))
        .property("score", points())
        .required("score")
        .property("tests", ArrayBuilder::new().items(test))
        .required("tests")
});

term!(JobEvent, event("job", "JobDetail"));

term!(BatchEvent, event("batch", "Batch"));

term!(PoolsEvent, event("pools", "PoolsSnapshot"));

/// A server-sent event of one type, with JSON of this schema in it.
fn event(name: &'static str, schema: &str) -> ObjectBuilder {
    let data = text("JSON.")
        .content_media_type("application/json")
        .content_schema(Some(Ref::from_schema_name(schema)));
    let milliseconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("After how many milliseconds to come again, should the stream end."))
        .minimum(Some(0));
    ObjectBuilder::new()
        .description(Some("A server-sent event. One with `retry` alone says when to come again."))
        .property("event", one_of([name], "Its type."))
        .property("id", text("What `Last-Event-ID` is to say."))
        .property("data", data)
        .property("retry", milliseconds)
}

/// A text that is one of these.
fn one_of<const N: usize>(names: [&'static str; N], description: &str) -> ObjectBuilder {
    text(description).enum_values(Some(names))
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

/// A text that Postgres can hold.
fn stored_text(description: &str) -> ObjectBuilder {
    text(description).pattern(Some(r"^[^\u0000]*$"))
}

fn nothing() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Null)
}

/// What both kinds of content have.
fn content() -> ObjectBuilder {
    let optional =
        |schema: ObjectBuilder| schema.schema_type(SchemaType::from_iter([Type::String, Type::Null]));
    let languages = domain::submission::Language::ALL.map(|language| json!(language.as_str()));
    let language =
        "What a text without an extension is written in; a name may also be written in upper case.";
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property(
            "language",
            optional(text(language)).enum_values(Some(languages.into_iter().chain([json!(null)]))),
        )
        .property("documentation", optional(stored_text("What there is to say about it, in Markdown.")))
}
