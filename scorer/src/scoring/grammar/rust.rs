//! Rust.

use std::sync::LazyLock;

use domain::submission::Language;
use tree_sitter::Node;

use super::{Candidate, Grammar, Role, Scope, Verdict, has_words, no_exports, roles, text};

pub(super) const ROLES: &[(&str, Role)] = &[
    ("function_item", Role::FUNCTION.and(Role::ITEM)),
    ("function_signature_item", Role::ITEM),
    ("closure_expression", Role::LAMBDA.and(Role::NESTS)),
    ("struct_item", Role::ITEM),
    ("enum_item", Role::ITEM),
    ("union_item", Role::ITEM),
    ("trait_item", Role::ITEM),
    ("type_item", Role::ITEM),
    ("const_item", Role::ITEM),
    ("static_item", Role::ITEM),
    ("mod_item", Role::ITEM),
    ("if_expression", Role::DECISION.and(Role::NESTS).and(Role::IF)),
    ("else_clause", Role::ELSE),
    ("for_expression", Role::DECISION.and(Role::NESTS)),
    ("while_expression", Role::DECISION.and(Role::NESTS)),
    ("loop_expression", Role::NESTS),
    ("match_expression", Role::DECISION.and(Role::NESTS)),
    ("match_arm", Role::DECISION),
    ("match_pattern", Role::DECISION),
    ("let_declaration", Role::DECISION),
    ("binary_expression", Role::LOGIC),
    ("let_chain", Role::LOGIC),
    ("&&", Role::SHORT_CIRCUIT),
    ("||", Role::SHORT_CIRCUIT),
    ("line_comment", Role::COMMENT),
    ("block_comment", Role::COMMENT),
    ("attribute_item", Role::ATTRIBUTE),
];

pub(super) static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| {
    let parser = tree_sitter_rust::LANGUAGE.into();
    Grammar {
        language: Language::Rust,
        roles: roles(&parser, ROLES),
        naming: Vec::new(),
        parser,
        decisions,
        item,
        exports: no_exports,
        documentation_touches: false,
        documentation: "doc comment (///)",
    }
});

/// A match of n arms has n - 1 decisions, since one of the arms must apply; a guard and `let … else` have one.
fn decisions(node: Node<'_>, _: &str) -> i32 {
    let has = |field| i32::from(node.child_by_field_name(field).is_some());
    match node.kind() {
        "match_expression" => {
            let body = node.child_by_field_name("body");
            -i32::from(body.is_some_and(|body| body.named_child_count() > 0))
        }
        "match_pattern" => has("condition"),
        "let_declaration" => has("alternative"),
        _ => 1,
    }
}

/// Public is what is `pub` without restriction, outside of functions, and what belongs to a public trait. Modules do
/// not hide: what is public in a private one is usually exported elsewhere.
fn item(candidate: &Candidate<'_, '_>) -> Verdict {
    if candidate.scope == Scope::Closed {
        return Verdict::PRIVATE;
    }
    let kind = candidate.node.kind();
    let public = candidate.scope == Scope::Members || is_pub(candidate);
    let inside = match kind {
        "trait_item" if public => Scope::Members,
        "mod_item" => Scope::Open,
        _ => Scope::Closed,
    };
    match candidate.name().filter(|_| public) {
        Some(name) => Verdict::public(name, is_documented(candidate), inside),
        None => Verdict { item: None, inside },
    }
}

fn is_pub(candidate: &Candidate<'_, '_>) -> bool {
    let mut cursor = candidate.node.walk();
    candidate
        .node
        .named_children(&mut cursor)
        .any(|child| child.kind() == "visibility_modifier" && text(child, candidate.source) == "pub")
}

fn is_documented(candidate: &Candidate<'_, '_>) -> bool {
    candidate.before.iter().any(|node| is_outer(text(*node, candidate.source)))
        || candidate
            .node
            .child_by_field_name("body")
            .is_some_and(|body| begins_with_inner(body, candidate.source))
}

fn is_outer(comment: &str) -> bool {
    let line = comment.starts_with("///") && !comment.starts_with("////");
    let block = comment.starts_with("/**") && !comment.starts_with("/***");
    let attribute = comment.strip_prefix("#[").is_some_and(|rest| rest.trim_start().starts_with("doc"));
    (line || block || attribute) && has_words(comment)
}

fn begins_with_inner(body: Node<'_>, source: &str) -> bool {
    let first = body.named_child(0).map(|node| text(node, source));
    first.is_some_and(|text| (text.starts_with("//!") || text.starts_with("/*!")) && has_words(text))
}
