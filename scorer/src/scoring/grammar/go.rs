//! Go.

use std::sync::LazyLock;

use domain::submission::Language;

use super::{Candidate, Grammar, Role, Scope, Verdict, has_words, no_exports, roles, text};

pub(super) const ROLES: &[(&str, Role)] = &[
    ("function_declaration", Role::FUNCTION.and(Role::ITEM)),
    ("method_declaration", Role::FUNCTION.and(Role::ITEM)),
    ("func_literal", Role::LAMBDA.and(Role::NESTS)),
    ("type_spec", Role::ITEM),
    ("type_alias", Role::ITEM),
    ("const_spec", Role::ITEM),
    ("var_spec", Role::ITEM),
    ("type_declaration", Role::WRAPPER),
    ("const_declaration", Role::WRAPPER),
    ("var_declaration", Role::WRAPPER),
    ("var_spec_list", Role::WRAPPER),
    ("if_statement", Role::DECISION.and(Role::NESTS).and(Role::IF)),
    ("for_statement", Role::DECISION.and(Role::NESTS)),
    ("expression_switch_statement", Role::NESTS),
    ("type_switch_statement", Role::NESTS),
    ("select_statement", Role::NESTS),
    // `default:` is a kind of its own and decides nothing.
    ("expression_case", Role::DECISION),
    ("type_case", Role::DECISION),
    ("communication_case", Role::DECISION),
    ("binary_expression", Role::LOGIC),
    ("&&", Role::SHORT_CIRCUIT),
    ("||", Role::SHORT_CIRCUIT),
    ("comment", Role::COMMENT),
];

pub(super) static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| {
    let parser = tree_sitter_go::LANGUAGE.into();
    Grammar {
        language: Language::Go,
        roles: roles(&parser, ROLES),
        naming: Vec::new(),
        parser,
        decisions: |_, _| 1,
        item,
        exports: no_exports,
        documentation_touches: true,
        documentation: "comment directly above",
    }
});

/// Public is what begins with a capital, at the top level; a method if its type does so too. A comment above a group
/// of constants, variables or types counts for each of them.
fn item(candidate: &Candidate<'_, '_>) -> Verdict {
    match candidate.name() {
        Some(name)
            if candidate.scope == Scope::Open && is_exported(name) && receiver_is_exported(candidate) =>
        {
            let is_comment = |text: &str| !text.starts_with("//go:") && has_words(text);
            let documented =
                candidate.before.iter().any(|comment| is_comment(text(*comment, candidate.source)));
            Verdict::public(name, documented, Scope::Closed)
        }
        _ => Verdict::PRIVATE,
    }
}

fn is_exported(name: &str) -> bool {
    name.chars().next().is_some_and(char::is_uppercase)
}

/// Reads the type's name out of `(o *Order[T])`. True where there is no receiver.
fn receiver_is_exported(candidate: &Candidate<'_, '_>) -> bool {
    let Some(receiver) = candidate.field("receiver") else { return true };
    let named = receiver.trim_matches(['(', ')']).split('[').next().unwrap_or_default().trim_end();
    is_exported(named.rsplit([' ', '\t', '*']).next().unwrap_or_default())
}
