//! Walks a syntax tree once and collects what criteria ask about.
//!
//! The tree comes from untrusted text and can be as deep as the text is long, so nothing here recurses, and nothing
//! asks a node for its parent or siblings, which tree-sitter answers by searching from the root.

use std::collections::HashSet;

use tree_sitter::{Node, Tree};

use super::ScoringError;
use super::breaks::Breaks;
use super::facts::{FileFacts, Item};
use super::functions::{Functions, OUTSIDE};
use super::grammar::{Candidate, Grammar, Role, Scope};
use super::limits::Deadline;
use super::lines::Lines;

/// How many nodes are visited between two looks at the clock.
const NODES_PER_CHECK: usize = 1024;

/// Collects the facts of one file.
pub(super) fn measure(
    grammar: &'static Grammar,
    path: &str,
    text: &str,
    tree: &Tree,
    deadline: &Deadline,
) -> Result<FileFacts, ScoringError> {
    let mut walk = Walk::new(grammar, text, tree);
    walk.run(tree, deadline)?;
    let lines = walk.lines.counted();
    Ok(FileFacts {
        path: path.to_owned(),
        language: grammar.language,
        guessed: false,
        code_lines: lines.total(),
        broken_lines: walk.lines.broken(),
        broken_bytes: walk.breaks.bytes(),
        breaks: walk.breaks.into_found(),
        functions: walk.functions.finish(&lines),
        items: walk.items,
        documentation: grammar.documentation,
    })
}

/// What is known at an open node about its children. As many as the tree is deep exist at once: kept small.
#[derive(Clone, Copy)]
struct Frame {
    role: Role,
    scope: Scope,
    exported: bool,
    /// Whether it is code that runs when the file is loaded.
    script: bool,
    is_root: bool,
    is_error: bool,
    /// The function around the children, or [`OUTSIDE`].
    function: u32,
    nesting: u32,
    /// Where comments before the children begin in [`Walk::before`].
    before: u32,
    /// The same, with those that a wrapper passes on.
    before_inherited: u32,
    /// The row on which the last child ended.
    last_row: u32,
    /// The name given to a function without one, as a range of bytes.
    name: (u32, u32),
}

struct Walk<'tree, 'text> {
    grammar: &'static Grammar,
    text: &'text str,
    exports: Option<HashSet<String>>,
    frames: Vec<Frame>,
    /// Comments and attributes that wait for the item after them, of all open nodes.
    before: Vec<Node<'tree>>,
    lines: Lines,
    breaks: Breaks<'tree>,
    functions: Functions,
    items: Vec<Item>,
}

impl<'tree, 'text> Walk<'tree, 'text> {
    fn new(grammar: &'static Grammar, text: &'text str, tree: &'tree Tree) -> Self {
        Walk {
            grammar,
            text,
            exports: (grammar.exports)(tree.root_node(), text),
            frames: Vec::new(),
            before: Vec::new(),
            lines: Lines::of(text),
            breaks: Breaks::default(),
            functions: Functions::default(),
            items: Vec::new(),
        }
    }

    fn run(&mut self, tree: &'tree Tree, deadline: &Deadline) -> Result<(), ScoringError> {
        let mut cursor = tree.walk();
        let mut parent = Frame {
            role: Role::default(),
            scope: Scope::Open,
            exported: false,
            script: false,
            is_root: false,
            is_error: false,
            function: OUTSIDE,
            nesting: 0,
            before: 0,
            before_inherited: 0,
            last_row: u32::MAX,
            name: (0, 0),
        };
        for visited in 1_usize.. {
            if visited.is_multiple_of(NODES_PER_CHECK) {
                deadline.check()?;
            }
            let node = cursor.node();
            // Only Go's `else if` stands in a field; all others have a node for the `else`.
            let continues_if = parent.role.has(Role::ELSE)
                || parent.role.has(Role::IF) && cursor.field_name() == Some("alternative");
            if let Some(frame) = self.enter(node, &parent, continues_if)
                && cursor.goto_first_child()
            {
                self.frames.push(parent);
                parent = frame;
                continue;
            }
            self.leave_child(&mut parent, node);
            while !cursor.goto_next_sibling() {
                let Some(outer) = self.frames.pop() else { return Ok(()) };
                cursor.goto_parent();
                self.close(&parent);
                parent = outer;
                self.leave_child(&mut parent, cursor.node());
            }
        }
        Ok(())
    }

    /// Takes note of a node. Gives the frame for its children if they are to be visited.
    fn enter(&mut self, node: Node<'tree>, parent: &Frame, continues_if: bool) -> Option<Frame> {
        let role = self.grammar.role(node);
        if node.is_missing() {
            self.breaks.missing(node, self.text);
            self.lines.mark_broken(node.start_position().row);
            return None;
        }
        if role.has(Role::COMMENT) {
            self.comment(node, parent);
            return None;
        }
        if role.has(Role::BARE_STRING) && is_bare_string(node) {
            return None;
        }
        if role.has(Role::SHORT_CIRCUIT) && parent.role.has(Role::LOGIC) {
            self.functions.decide(parent.function, 1);
        }
        if node.child_count() == 0 {
            if node.is_error() {
                self.breaks.unexpected(node, self.text);
            }
            if node.end_byte() > node.start_byte() {
                let broken = parent.is_error || node.is_error();
                self.lines.mark(node, broken);
                if broken {
                    self.breaks.token(node);
                }
            }
            return None;
        }
        if node.is_error() {
            self.breaks.open(node, self.text);
        }
        self.discard_distant_comments(node, parent);
        Some(self.frame(node, role, parent, continues_if))
    }

    fn frame(&mut self, node: Node<'tree>, role: Role, parent: &Frame, continues_if: bool) -> Frame {
        let script = parent.script || parent.is_root && role.has(Role::SCRIPT) && !is_assignment(node);
        if script && !parent.script {
            self.functions.script(node);
        }
        if role.has(Role::DECISION) {
            self.functions.decide(parent.function, (self.grammar.decisions)(node, self.text));
        }
        let (mut function, mut nesting) = (parent.function, parent.nesting);
        let given = (role.has(Role::LAMBDA) && parent.name.1 > 0).then_some(parent.name);
        let opens_function =
            role.has(Role::FUNCTION) || role.has(Role::LAMBDA) && (given.is_some() || function == OUTSIDE);
        if opens_function {
            let own =
                node.child_by_field_name("name").map(|name| self.slice(name.start_byte(), name.end_byte()));
            let given = given.map(|(start, end)| self.slice(start as usize, end as usize));
            let name = given.or(own).unwrap_or("anonymous function");
            function = self.functions.open(node, name, function, script);
            nesting = 0;
        } else if role.has(Role::NESTS) && !(role.has(Role::IF) && continues_if) {
            nesting += 1;
            self.functions.nest(function, nesting, node.start_position().row);
        }
        let scope = if role.has(Role::ITEM) { self.item(node, parent) } else { parent.scope };
        let passes_on = role.has(Role::WRAPPER);
        let before = row(self.before.len());
        Frame {
            role,
            scope: if opens_function { Scope::Closed } else { scope },
            exported: role.has(Role::EXPORT) || passes_on && parent.exported,
            script,
            is_root: self.frames.is_empty(),
            is_error: node.is_error(),
            function,
            nesting,
            before,
            before_inherited: if passes_on { parent.before_inherited } else { before },
            last_row: u32::MAX,
            name: self
                .grammar
                .name_given_by(node)
                .map_or((0, 0), |name| (row(name.start_byte()), row(name.end_byte()))),
        }
    }

    /// Keeps a comment for the item after it, unless it belongs to the line of the item before.
    fn comment(&mut self, node: Node<'tree>, parent: &Frame) {
        let start = row(node.start_position().row);
        if start != parent.last_row {
            self.discard_distant_comments(node, parent);
            self.before.push(node);
        }
    }

    /// Where documentation must touch its item, a blank line parts them.
    fn discard_distant_comments(&mut self, node: Node<'tree>, parent: &Frame) {
        let own = parent.before as usize;
        let distant = |last: &Node<'_>| last.end_position().row + 1 < node.start_position().row;
        if self.grammar.documentation_touches
            && self.before.get(own..).and_then(<[_]>::last).is_some_and(distant)
        {
            self.before.truncate(own);
        }
    }

    fn item(&mut self, node: Node<'tree>, parent: &Frame) -> Scope {
        let verdict = (self.grammar.item)(&Candidate {
            node,
            source: self.text,
            scope: parent.scope,
            before: self.before.get(parent.before_inherited as usize..).unwrap_or_default(),
            exported: parent.exported,
            exports: self.exports.as_ref(),
        });
        if let Some((name, documented)) = verdict.item {
            self.items.push(Item { name, line: node.start_position().row + 1, documented });
        }
        verdict.inside
    }

    /// After a child and all inside it: comments before it have served.
    fn leave_child(&mut self, parent: &mut Frame, child: Node<'tree>) {
        let role = self.grammar.role(child);
        if !role.has_any(Role::COMMENT, Role::ATTRIBUTE) {
            self.before.truncate(parent.before as usize);
            parent.last_row = row(child.end_position().row);
        } else if role.has(Role::ATTRIBUTE) {
            self.before.push(child);
        }
    }

    fn close(&mut self, frame: &Frame) {
        self.before.truncate(frame.before as usize);
        if frame.is_error {
            self.breaks.close(self.text);
        }
    }

    fn slice(&self, start: usize, end: usize) -> &'text str {
        self.text.get(start..end).unwrap_or_default()
    }
}

/// A statement of nothing but a string: a docstring, or a comment in disguise.
fn is_bare_string(statement: Node<'_>) -> bool {
    statement.child_count() == 1
        && statement.child(0).is_some_and(|only| matches!(only.kind(), "string" | "concatenated_string"))
}

/// A table of constants is no code that runs, however long it is.
fn is_assignment(statement: Node<'_>) -> bool {
    statement.child(0).is_some_and(|only| matches!(only.kind(), "assignment" | "assignment_expression"))
}

/// Rows and offsets fit 32 bits: tree-sitter itself counts in them.
fn row(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
