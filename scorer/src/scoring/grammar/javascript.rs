//! JavaScript, with JSX.

use std::collections::HashSet;
use std::sync::LazyLock;

use domain::submission::Language;
use tree_sitter::Node;

use super::{Candidate, Grammar, Role, Scope, Verdict, has_words, naming, roles, text};

pub(super) const ROLES: &[(&str, Role)] = &[
    ("function_declaration", Role::FUNCTION.and(Role::ITEM)),
    ("generator_function_declaration", Role::FUNCTION.and(Role::ITEM)),
    ("method_definition", Role::FUNCTION.and(Role::ITEM)),
    ("class_declaration", Role::ITEM),
    ("class", Role::ITEM),
    ("variable_declarator", Role::ITEM.and(Role::WRAPPER)),
    ("function_expression", Role::LAMBDA.and(Role::NESTS).and(Role::ITEM)),
    ("generator_function", Role::LAMBDA.and(Role::NESTS).and(Role::ITEM)),
    ("arrow_function", Role::LAMBDA.and(Role::NESTS).and(Role::ITEM)),
    ("if_statement", Role::DECISION.and(Role::NESTS).and(Role::IF).and(Role::SCRIPT)),
    ("else_clause", Role::ELSE),
    ("for_statement", Role::DECISION.and(Role::NESTS).and(Role::SCRIPT)),
    ("for_in_statement", Role::DECISION.and(Role::NESTS).and(Role::SCRIPT)),
    ("while_statement", Role::DECISION.and(Role::NESTS).and(Role::SCRIPT)),
    ("do_statement", Role::DECISION.and(Role::NESTS).and(Role::SCRIPT)),
    ("try_statement", Role::NESTS.and(Role::SCRIPT)),
    ("switch_statement", Role::NESTS.and(Role::SCRIPT)),
    ("expression_statement", Role::SCRIPT),
    // `default:` is a kind of its own and decides nothing.
    ("switch_case", Role::DECISION),
    ("catch_clause", Role::DECISION),
    ("ternary_expression", Role::DECISION),
    ("binary_expression", Role::LOGIC),
    ("&&", Role::SHORT_CIRCUIT),
    ("||", Role::SHORT_CIRCUIT),
    ("??", Role::SHORT_CIRCUIT),
    ("comment", Role::COMMENT),
    ("html_comment", Role::COMMENT),
    ("export_statement", Role::WRAPPER.and(Role::EXPORT)),
    ("lexical_declaration", Role::WRAPPER),
    ("variable_declaration", Role::WRAPPER),
];

pub(super) static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| {
    let parser = tree_sitter_javascript::LANGUAGE.into();
    let names = [
        ("variable_declarator", "name"),
        ("assignment_expression", "left"),
        ("field_definition", "property"),
        ("pair", "key"),
    ];
    Grammar {
        language: Language::JavaScript,
        roles: roles(&parser, ROLES),
        naming: naming(&parser, &names),
        parser,
        decisions: |_, _| 1,
        item,
        exports,
        documentation_touches: false,
        documentation: "JSDoc comment (/** … */)",
    }
});

/// Public are functions and classes at the top level, in a module those it exports; and their methods, but for
/// constructors and those that begin with `#` or `_`.
fn item(candidate: &Candidate<'_, '_>) -> Verdict {
    if candidate.scope == Scope::Closed {
        return Verdict::PRIVATE;
    }
    let documented =
        candidate.before.last().is_some_and(|comment| is_jsdoc(text(*comment, candidate.source)));
    let name = candidate.name();
    match candidate.node.kind() {
        "method_definition" => match name {
            Some(name) if candidate.scope == Scope::Members && is_public_member(name) => {
                Verdict::public(name, documented, Scope::Closed)
            }
            _ => Verdict::PRIVATE,
        },
        "variable_declarator" => match (name, holds(candidate)) {
            (Some(name), Some(inside)) if is_exported(candidate, name) => {
                Verdict::public(name, documented, inside)
            }
            _ => Verdict::PRIVATE,
        },
        // The value of a variable is an item through its declarator, which lets only the members of a class be one.
        "class" if candidate.scope == Scope::Members => Verdict { item: None, inside: Scope::Members },
        "class" | "function_expression" | "generator_function" | "arrow_function" if !candidate.exported => {
            Verdict::PRIVATE
        }
        _ if is_exported(candidate, name.unwrap_or_default()) => {
            Verdict::public(name.unwrap_or("default export"), documented, Scope::Members)
        }
        _ => Verdict::PRIVATE,
    }
}

/// What a variable with a function or a class means for what is inside.
fn holds(candidate: &Candidate<'_, '_>) -> Option<Scope> {
    match candidate.node.child_by_field_name("value")?.kind() {
        "class" => Some(Scope::Members),
        "function_expression" | "generator_function" | "arrow_function" => Some(Scope::Closed),
        _ => None,
    }
}

fn is_exported(candidate: &Candidate<'_, '_>, name: &str) -> bool {
    candidate.scope == Scope::Open
        && (candidate.exported || candidate.exports.is_none_or(|names| names.contains(name)))
}

fn is_public_member(name: &str) -> bool {
    name != "constructor" && !name.starts_with(['#', '_'])
}

fn is_jsdoc(comment: &str) -> bool {
    comment.starts_with("/**") && has_words(comment)
}

/// The names in `export { a, b }` and `export default a`; `None` for a file without any export, a plain script.
fn exports(root: Node<'_>, source: &str) -> Option<HashSet<String>> {
    let mut names = None;
    let mut cursor = root.walk();
    for statement in root.named_children(&mut cursor).filter(|child| child.kind() == "export_statement") {
        let names = names.get_or_insert_with(HashSet::new);
        if let Some(value) =
            statement.child_by_field_name("value").filter(|value| value.kind() == "identifier")
        {
            names.insert(text(value, source).to_owned());
        }
        let mut inner = statement.walk();
        for clause in statement.named_children(&mut inner).filter(|child| child.kind() == "export_clause") {
            let mut specifiers = clause.walk();
            let exported =
                clause.named_children(&mut specifiers).filter_map(|one| one.child_by_field_name("name"));
            names.extend(exported.map(|name| text(name, source).to_owned()));
        }
    }
    names
}
