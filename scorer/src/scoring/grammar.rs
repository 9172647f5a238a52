//! What the walker needs to know of a language: a table of node kinds, and the few questions a table cannot answer.

mod go;
mod javascript;
mod python;
mod rust;

use std::collections::HashSet;

use domain::submission::Language;
use tree_sitter::Node;

/// What a kind of node means to the walker: a set of flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Role(u16);

impl Role {
    /// Defines a function that is measured by itself.
    pub(super) const FUNCTION: Role = Role(1);
    /// A function without a name. Measured by itself where it is given one or stands in no other function; else it
    /// belongs to the function around it.
    pub(super) const LAMBDA: Role = Role(1 << 1);
    /// Adds to the cyclomatic complexity, by as much as [`Grammar::decisions`] says.
    pub(super) const DECISION: Role = Role(1 << 2);
    /// Adds a level of nesting.
    pub(super) const NESTS: Role = Role(1 << 3);
    /// An `if`, which adds no level where it continues another one's `else`.
    pub(super) const IF: Role = Role(1 << 4);
    /// An `else` that can be continued by an `if`.
    pub(super) const ELSE: Role = Role(1 << 5);
    /// May be a public item, or hold some.
    pub(super) const ITEM: Role = Role(1 << 6);
    /// Stands around an item, so that documentation before it is the item's.
    pub(super) const WRAPPER: Role = Role(1 << 7);
    /// Exports what it wraps.
    pub(super) const EXPORT: Role = Role(1 << 8);
    /// A comment: not code.
    pub(super) const COMMENT: Role = Role(1 << 9);
    /// Annotates the item after it, and is code.
    pub(super) const ATTRIBUTE: Role = Role(1 << 10);
    /// At the top level of a file: code that runs when the file is run or loaded.
    pub(super) const SCRIPT: Role = Role(1 << 11);
    /// A statement that is nothing but documentation where it holds only a string.
    pub(super) const BARE_STRING: Role = Role(1 << 12);
    /// An expression whose short-circuit operators are decisions.
    pub(super) const LOGIC: Role = Role(1 << 13);
    /// An operator that is a decision inside [`Role::LOGIC`].
    pub(super) const SHORT_CIRCUIT: Role = Role(1 << 14);

    pub(super) const fn and(self, other: Role) -> Role {
        Role(self.0 | other.0)
    }

    pub(super) fn has(self, other: Role) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it has at least one of two roles.
    pub(super) fn has_any(self, one: Role, other: Role) -> bool {
        self.0 & (one.0 | other.0) != 0
    }
}

/// A language: its parser, and what its nodes mean.
pub(super) struct Grammar {
    pub(super) language: Language,
    pub(super) parser: tree_sitter::Language,
    /// Roles by the number of the node's kind.
    roles: Vec<Role>,
    /// Kinds that give a function without a name the one in this field.
    naming: Vec<(u16, &'static str)>,
    /// How much a node with [`Role::DECISION`] adds.
    pub(super) decisions: fn(Node<'_>, &str) -> i32,
    /// Whether a node with [`Role::ITEM`] is a public item, and what it means for those inside it.
    pub(super) item: fn(&Candidate<'_, '_>) -> Verdict,
    /// The names that a module exports, or `None` where it exports nothing explicitly.
    pub(super) exports: fn(Node<'_>, &str) -> Option<HashSet<String>>,
    /// Whether documentation must stand directly above its item.
    pub(super) documentation_touches: bool,
    /// What documentation of an item is called.
    pub(super) documentation: &'static str,
}

/// A node that may be a public item.
pub(super) struct Candidate<'a, 'tree> {
    pub(super) node: Node<'tree>,
    pub(super) source: &'a str,
    pub(super) scope: Scope,
    /// Comments and attributes that stand before it.
    pub(super) before: &'a [Node<'tree>],
    /// Whether a node around it exports it.
    pub(super) exported: bool,
    /// What the module exports by name; see [`Grammar::exports`].
    pub(super) exports: Option<&'a HashSet<String>>,
}

/// Whether items can be public where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Each says so for itself.
    Open,
    /// All are, as members of something public.
    Members,
    /// None is: a function's body, or something private.
    Closed,
}

/// What a candidate turned out to be.
pub(super) struct Verdict {
    /// Its name and whether it is documented, if it is a public item.
    pub(super) item: Option<(String, bool)>,
    /// For what stands inside it. A function's body is closed without saying so.
    pub(super) inside: Scope,
}

impl Verdict {
    /// Not public; what is inside is not either.
    pub(super) const PRIVATE: Verdict = Verdict { item: None, inside: Scope::Closed };

    pub(super) fn public(name: &str, documented: bool, inside: Scope) -> Verdict {
        Verdict { item: Some((name.to_owned(), documented)), inside }
    }
}

impl Candidate<'_, '_> {
    pub(super) fn name(&self) -> Option<&str> {
        self.field("name")
    }

    /// The text of a field of the node.
    pub(super) fn field(&self, field: &str) -> Option<&str> {
        self.node.child_by_field_name(field).map(|node| text(node, self.source))
    }
}

impl Grammar {
    pub(super) fn of(language: Language) -> &'static Grammar {
        match language {
            Language::Python => &python::GRAMMAR,
            Language::JavaScript => &javascript::GRAMMAR,
            Language::Go => &go::GRAMMAR,
            Language::Rust => &rust::GRAMMAR,
        }
    }

    pub(super) fn role(&self, node: Node<'_>) -> Role {
        self.roles.get(usize::from(node.kind_id())).copied().unwrap_or_default()
    }

    /// The node that names a function without a name inside this node.
    pub(super) fn name_given_by<'tree>(&self, node: Node<'tree>) -> Option<Node<'tree>> {
        let (_, field) = self.naming.iter().find(|(kind, _)| *kind == node.kind_id())?;
        node.child_by_field_name(field)
    }
}

/// Turns names of kinds into the numbers that nodes carry. A name may stand for several.
fn roles(parser: &tree_sitter::Language, table: &[(&str, Role)]) -> Vec<Role> {
    let role = |id: u16| {
        let Some(kind) = parser.node_kind_for_id(id) else { return Role::default() };
        let found = table.iter().filter(|(name, _)| *name == kind);
        found.fold(Role::default(), |all, (_, role)| all.and(*role))
    };
    (0..parser.node_kind_count()).map(|id| u16::try_from(id).map(role).unwrap_or_default()).collect()
}

fn naming(parser: &tree_sitter::Language, table: &[(&str, &'static str)]) -> Vec<(u16, &'static str)> {
    table.iter().map(|(kind, field)| (parser.id_for_node_kind(kind, true), *field)).collect()
}

/// The text of a node.
fn text<'a>(node: Node<'_>, source: &'a str) -> &'a str {
    source.get(node.byte_range()).unwrap_or_default()
}

/// Whether a comment says anything.
fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

fn no_exports(_: Node<'_>, _: &str) -> Option<HashSet<String>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_names_kinds_that_the_grammar_has() {
        for language in Language::ALL {
            let grammar = Grammar::of(language);
            let known: HashSet<_> = (0..grammar.parser.node_kind_count())
                .filter_map(|id| grammar.parser.node_kind_for_id(u16::try_from(id).unwrap()))
                .collect();
            let table = match language {
                Language::Python => python::ROLES,
                Language::JavaScript => javascript::ROLES,
                Language::Go => go::ROLES,
                Language::Rust => rust::ROLES,
            };
            for (kind, _) in table {
                assert!(known.contains(kind), "{language} has no {kind}");
            }
            assert!(grammar.naming.iter().all(|(kind, _)| *kind != 0), "{language} names an unknown kind");
        }
    }
}
