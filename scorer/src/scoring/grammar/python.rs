//! Python.

use std::sync::LazyLock;

use domain::submission::Language;
use tree_sitter::Node;

use super::{Candidate, Grammar, Role, Scope, Verdict, has_words, no_exports, roles, text};

pub(super) const ROLES: &[(&str, Role)] = &[
    ("function_definition", Role::FUNCTION.and(Role::ITEM)),
    ("class_definition", Role::ITEM),
    ("lambda", Role::LAMBDA.and(Role::NESTS)),
    ("if_statement", Role::DECISION.and(Role::NESTS).and(Role::SCRIPT)),
    ("elif_clause", Role::DECISION),
    ("for_statement", Role::DECISION.and(Role::NESTS).and(Role::SCRIPT)),
    ("while_statement", Role::DECISION.and(Role::NESTS).and(Role::SCRIPT)),
    ("try_statement", Role::NESTS.and(Role::SCRIPT)),
    ("with_statement", Role::NESTS.and(Role::SCRIPT)),
    ("match_statement", Role::NESTS.and(Role::SCRIPT)),
    ("except_clause", Role::DECISION),
    ("case_clause", Role::DECISION),
    ("conditional_expression", Role::DECISION),
    ("boolean_operator", Role::DECISION),
    // The parts of a comprehension, and the guard of a case.
    ("for_in_clause", Role::DECISION),
    ("if_clause", Role::DECISION),
    ("expression_statement", Role::BARE_STRING.and(Role::SCRIPT)),
    ("comment", Role::COMMENT),
    ("decorated_definition", Role::WRAPPER),
];

pub(super) static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| {
    let parser = tree_sitter_python::LANGUAGE.into();
    Grammar {
        language: Language::Python,
        roles: roles(&parser, ROLES),
        naming: Vec::new(),
        parser,
        decisions,
        item,
        exports: no_exports,
        documentation_touches: false,
        documentation: "docstring",
    }
});

/// `case _:` takes what is left and decides nothing.
fn decisions(node: Node<'_>, source: &str) -> i32 {
    let takes_all = node.kind() == "case_clause"
        && node.child_by_field_name("guard").is_none()
        && node.named_child(0).is_some_and(|pattern| text(pattern, source) == "_");
    if takes_all { 0 } else { 1 }
}

/// Public is what has no leading underscore, outside of functions and of private classes.
fn item(candidate: &Candidate<'_, '_>) -> Verdict {
    match candidate.name() {
        Some(name) if candidate.scope == Scope::Open && !name.starts_with('_') => {
            Verdict::public(name, has_docstring(candidate), Scope::Open)
        }
        _ => Verdict::PRIVATE,
    }
}

fn has_docstring(candidate: &Candidate<'_, '_>) -> bool {
    let Some(body) = candidate.node.child_by_field_name("body") else { return false };
    let mut cursor = body.walk();
    let first = body.named_children(&mut cursor).find(|child| child.kind() != "comment");
    first.and_then(only_string).is_some_and(|string| has_words(text(string, candidate.source)))
}

/// The string that is all of a statement.
fn only_string(statement: Node<'_>) -> Option<Node<'_>> {
    let only = statement.named_child(0).filter(|_| statement.named_child_count() == 1)?;
    matches!(only.kind(), "string" | "concatenated_string").then_some(only)
}
