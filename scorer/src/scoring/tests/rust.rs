//! Rust.

use domain::submission::Language::Rust;

use super::{complexity, functions, items, nesting};

#[test]
fn length_is_lines_of_code() {
    let text = "/// Doc.\nfn f() -> u8 {\n    // why\n\n    /* and\n    how */\n    1\n}\n";
    assert_eq!(functions(Rust, text), [("f".to_owned(), 3, 0, 1)]);
}

#[test]
fn closure_belongs_to_the_function_around_it() {
    let text = "fn f(a: &[u8]) {\n    a.iter().map(|x| {\n        if *x > 1 { 1 } else { 2 }\n    });\n    g(|| 1);\n}\n";
    assert_eq!(functions(Rust, text), [("f".to_owned(), 6, 2, 2)]);
}

#[test]
fn nested_functions_count_separately() {
    let text = "fn f() {\n    fn g() {\n        loop {}\n    }\n    g()\n}\n";
    assert_eq!(functions(Rust, text), [("f".to_owned(), 3, 0, 1), ("g".to_owned(), 3, 1, 1)]);
}

#[test]
fn decision_points_add_up() {
    let of = |body: &str| complexity(Rust, &format!("fn f(a: bool, b: bool) {{ {body} }}"));
    assert_eq!(of("a"), 1);
    assert_eq!(of("if a {} else if b {} else {}"), 3);
    assert_eq!(of("if let Some(x) = y && a && b {}"), 4);
    assert_eq!(of("for x in y {} while a {} loop {}"), 3);
    assert_eq!(of("match y { 1 => a, 2 | 3 => b, _ => c }"), 3);
    assert_eq!(of("match y { Some(x) if x > 1 => a, _ => b }"), 3);
    assert_eq!(of("match y {}"), 1);
    assert_eq!(of("let Some(x) = y else { return };"), 2);
    assert_eq!(of("a && b || a; g(|| 1); h(&&a); y?"), 3);
}

#[test]
fn else_if_adds_no_level() {
    assert_eq!(nesting(Rust, "fn f() { if a {} else if b {} else if c {} else {} }"), 1);
    assert_eq!(nesting(Rust, "fn f() { if a {} else { if b {} } }"), 2);
    assert_eq!(nesting(Rust, "fn f() { loop { match a { 1 => { if b {} } _ => {} } } }"), 3);
}

#[test]
fn public_items_are_pub_without_restriction() {
    let text = "//! Crate.\n\n/// Doc.\npub struct A;\n\npub enum B {}\n\npub(crate) struct C;\nstruct D;\n\n\
                impl A {\n    /// Doc.\n    #[must_use]\n    pub fn new() -> A { A }\n    pub fn run(&self) { pub fn inner() {} }\n    fn hidden() {}\n}\n\n\
                #[doc = \"Doc.\"]\npub const E: u8 = 1;\n\n// not a doc comment\npub static F: u8 = 1;\n\n//// nor this\npub type G = u8;\n\n\
                mod h {\n    /// Doc.\n    pub fn i() {}\n}\n\npub mod j {\n    //! Doc.\n}\n";
    assert_eq!(items(Rust, text), ["+A", "B", "+new", "run", "+E", "F", "G", "+i", "+j"]);
}

#[test]
fn members_of_a_public_trait_are_public() {
    let text = "/// Doc.\npub trait A {\n    /// Doc.\n    fn b(&self);\n    fn c(&self) {}\n}\ntrait D { fn e(&self); }\nimpl A for u8 { fn b(&self) {} }\n";
    assert_eq!(items(Rust, text), ["+A", "+b", "c"]);
}
