//! Go.

use domain::submission::Language::Go;

use super::{complexity, functions, items, nesting};

#[test]
fn length_is_lines_of_code() {
    let text = "package a\n\nfunc f() int {\n\t// why\n\n\treturn 1\n}\n\nfunc (o *O) g() {}\n";
    assert_eq!(functions(Go, text), [("f".to_owned(), 3, 0, 1), ("g".to_owned(), 1, 0, 1)]);
}

#[test]
fn function_literal_belongs_to_the_function_around_it() {
    let text =
        "package a\nfunc f() {\n\tg := func() {\n\t\tif a {\n\t\t}\n\t}\n\tg()\n}\nvar h = func() {}\n";
    assert_eq!(functions(Go, text), [("f".to_owned(), 7, 2, 2), ("anonymous function".to_owned(), 1, 0, 1)]);
}

#[test]
fn decision_points_add_up() {
    let of = |body: &str| complexity(Go, &format!("package a\nfunc f(a, b bool) {{\n{body}\n}}\n"));
    assert_eq!(of("return"), 1);
    assert_eq!(of("if a {\n} else if b {\n} else {\n}"), 3);
    assert_eq!(of("for {\n}\nfor i := range x {\n}"), 3);
    assert_eq!(of("switch x {\ncase 1, 2:\ncase 3:\ndefault:\n}"), 3);
    assert_eq!(of("switch x.(type) {\ncase int:\ndefault:\n}"), 2);
    assert_eq!(of("select {\ncase <-c:\ncase c <- 1:\ndefault:\n}"), 3);
    assert_eq!(of("g(a && b || a)"), 3);
}

#[test]
fn else_if_adds_no_level() {
    let of = |body: &str| nesting(Go, &format!("package a\nfunc f(a bool) {{\n{body}\n}}\n"));
    assert_eq!(of("if a {\n} else if a {\n} else if a {\n} else {\n}"), 1);
    assert_eq!(of("if a {\n} else {\nif a {\n}\n}"), 2);
    assert_eq!(of("for {\nswitch {\ncase a:\nif a {\n}\n}\n}"), 3);
    assert_eq!(of("if a {\n} else if a {\nfor {\n}\n}"), 2);
}

#[test]
fn public_items_begin_with_a_capital() {
    let text = "package a\n\n// Run runs.\nfunc Run() {}\n\nfunc Stop() {}\n\nfunc hidden() {}\n\n\
                // A is a type.\ntype A struct{}\n\n// Go goes.\nfunc (a *A) Go() {}\n\nfunc (a A) Do() {}\n\nfunc (h *hid) Do() {}\n\n\
                // Get gets.\nfunc (m *Map[K, V]) Get() {}\n";
    assert_eq!(items(Go, text), ["+Run", "Stop", "+A", "+Go", "Do", "+Get"]);
}

#[test]
fn comment_above_a_group_counts_for_each_in_it() {
    let text = "package a\n\n// Sizes.\nconst (\n\tSmall = 1\n\tLarge = 2\n)\n\nconst (\n\t// One is one.\n\tOne = 1\n\tTwo = 2\n)\n\n\
                var (\n\t// V is v.\n\tV int\n\tW int\n)\n";
    assert_eq!(items(Go, text), ["+Small", "+Large", "+One", "Two", "+V", "W"]);
}

#[test]
fn comment_apart_from_its_item_documents_nothing() {
    let text = "package a\n\n// Section.\n\nfunc Run() {}\n\nvar x = 1 // trailing\nfunc Stop() {}\n\n//go:noinline\nfunc Go() {}\n";
    assert_eq!(items(Go, text), ["Run", "Stop", "Go"]);
}
