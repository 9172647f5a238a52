//! JavaScript.

use domain::submission::Language::JavaScript;

use super::{complexity, functions, items, nesting};

#[test]
fn length_is_lines_of_code() {
    let text = "function f(a) {\n  // why\n\n  /* and\n     how */\n  return `\n  ${a}`;\n}\n";
    assert_eq!(functions(JavaScript, text), [("f".to_owned(), 4, 0, 1)]);
}

#[test]
fn functions_take_the_name_they_are_given() {
    let text = "const a = () => 1;\nlet b = function () {};\nm.c = async () => {};\nconst o = { d: () => 1, e() {} };\n\
                class K {\n  f = () => 1;\n  g() {}\n}\nfunction* h() {}\n";
    let names: Vec<_> = functions(JavaScript, text).into_iter().map(|f| f.0).collect();
    assert_eq!(names, ["a", "b", "m.c", "d", "e", "f", "g", "h"]);
}

#[test]
fn callback_belongs_to_the_function_around_it() {
    let text = "function f(xs) {\n  return xs.map((x) => {\n    return x ? 1 : 2;\n  });\n}\n";
    assert_eq!(functions(JavaScript, text), [("f".to_owned(), 5, 1, 2)]);
}

#[test]
fn callback_at_the_top_level_is_measured_by_itself() {
    let text = "serve((request) => {\n  if (request) {\n    return 1;\n  }\n});\n";
    assert_eq!(functions(JavaScript, text), [("anonymous function".to_owned(), 5, 1, 2)]);
}

#[test]
fn nested_functions_count_separately() {
    let text =
        "function outer(a) {\n  function inner(b) {\n    return b && a;\n  }\n  return a || inner;\n}\n";
    assert_eq!(functions(JavaScript, text), [("outer".to_owned(), 3, 0, 2), ("inner".to_owned(), 3, 0, 2)]);
}

#[test]
fn decision_points_add_up() {
    let of = |body: &str| complexity(JavaScript, &format!("function f(a, b) {{ {body} }}"));
    assert_eq!(of("return a;"), 1);
    assert_eq!(of("if (a) {} else if (b) {} else {}"), 3);
    assert_eq!(
        of("for (;;) {} for (const x of a) {} for (const x in a) {} while (a) {} do {} while (b);"),
        6
    );
    assert_eq!(of("switch (a) { case 1: case 2: break; default: }"), 3);
    assert_eq!(of("try { a(); } catch (e) {} finally {}"), 2);
    assert_eq!(of("return a ? b : 1;"), 2);
    assert_eq!(of("return a && b || a ?? b;"), 4);
    assert_eq!(of("return a | b & a?.b;"), 1);
}

#[test]
fn else_if_adds_no_level() {
    assert_eq!(
        nesting(JavaScript, "function f(a) { if (a) {} else if (a) {} else if (a) {} else { a(); } }"),
        1
    );
    assert_eq!(nesting(JavaScript, "function f(a) { if (a) {} else { if (a) {} } }"), 2);
    assert_eq!(
        nesting(JavaScript, "function f(a) { for (;;) { try { switch (a) { case 1: } } catch (e) {} } }"),
        3
    );
}

#[test]
fn public_items_of_a_module_are_its_exports() {
    let text = "/** Doc. */\nexport function a() {}\nfunction hidden() {}\n/** Doc. */\nexport const b = () => 1;\n\
                // no JSDoc\nexport class C {\n  constructor() {}\n  /** Doc. */\n  run() {}\n  stop() {}\n  #x() {}\n  _y() {}\n}\n\
                class D { z() {} }\n/** Doc. */\nfunction e() {}\nexport { e };\nexport default function () {}\n";
    assert_eq!(items(JavaScript, text), ["+a", "+b", "C", "+run", "stop", "+e", "default export"]);
}

#[test]
fn public_items_of_a_script_are_all_at_the_top_level() {
    let text = "/** Doc. */\nfunction a() { function inner() {} }\nconst b = class { m() {} };\nconst n = 1;\nmodule.exports = { a };\n";
    assert_eq!(items(JavaScript, text), ["+a", "b", "m"]);
}
