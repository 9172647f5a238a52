//! Python.

use domain::submission::Language::Python;

use super::{complexity, facts, functions, items, nesting};

#[test]
fn length_is_lines_of_code_without_comments_blanks_and_docstring() {
    let text =
        "def f(a):\n    \"\"\"Says\n\n    much.\n    \"\"\"\n    # why\n    b = a  # how\n\n    return b\n";
    assert_eq!(functions(Python, text), [("f".to_owned(), 3, 0, 1)]);
}

#[test]
fn lines_inside_a_string_that_is_used_are_code() {
    assert_eq!(functions(Python, "def f():\n    return '''\n\na\n'''\n")[0].1, 5);
}

#[test]
fn nested_functions_count_separately() {
    let text = "def outer(a):\n    def inner(b):\n        if b:\n            return 1\n    if a and inner:\n        return inner\n";
    assert_eq!(functions(Python, text), [("outer".to_owned(), 3, 1, 3), ("inner".to_owned(), 3, 1, 2)]);
}

#[test]
fn lambda_belongs_to_the_function_around_it() {
    let text = "def f(xs):\n    return map(lambda x: 1 if x else 2, xs)\n";
    assert_eq!(functions(Python, text), [("f".to_owned(), 2, 1, 2)]);
}

#[test]
fn decision_points_add_up() {
    let of = |body: &str| complexity(Python, &format!("def f(a, b, c):\n{body}"));
    assert_eq!(of("    return a\n"), 1);
    assert_eq!(of("    if a:\n        pass\n    elif b:\n        pass\n    else:\n        pass\n"), 3);
    assert_eq!(of("    for x in a:\n        pass\n    while b:\n        pass\n    else:\n        pass\n"), 3);
    assert_eq!(of("    return a and b or c\n"), 3);
    assert_eq!(of("    return a if b else c\n"), 2);
    assert_eq!(of("    return [x for x in a if x]\n"), 3);
    assert_eq!(
        of(
            "    try:\n        a()\n    except A:\n        pass\n    except B:\n        pass\n    finally:\n        b()\n"
        ),
        3
    );
    assert_eq!(
        of(
            "    match a:\n        case 1:\n            pass\n        case 2 if b:\n            pass\n        case _:\n            pass\n"
        ),
        4
    );
    assert_eq!(of("    with a:\n        assert b\n"), 1);
}

#[test]
fn nesting_counts_levels_not_statements() {
    assert_eq!(nesting(Python, "def f(a):\n    if a:\n        pass\n    if a:\n        pass\n"), 1);
    assert_eq!(nesting(Python, "def f(a):\n    if a:\n        pass\n    elif a:\n        pass\n"), 1);
    let text = "def f(a):\n    for x in a:\n        try:\n            with x:\n                if x:\n                    pass\n        except E:\n            pass\n";
    assert_eq!(nesting(Python, text), 4);
}

#[test]
fn code_outside_of_functions_is_measured_too() {
    let text = "import sys\nX = {\n  1: 2,\n}\nclass A:\n    y = 1\n\nfor a in sys.argv:\n    if a:\n        print(a)\n";
    assert_eq!(functions(Python, text), [("-".to_owned(), 3, 2, 3)]);
    assert_eq!(functions(Python, "import sys\n\nclass A:\n    y = 1\n"), []);
}

#[test]
fn public_items_are_those_without_leading_underscore() {
    let text = "class A:\n    \"\"\"Doc.\"\"\"\n    def __init__(self): pass\n    def run(self): pass\n    def _hidden(self): pass\n\
                class _B:\n    def run(self): pass\n\
                @cached\ndef f():\n    # note\n    \"\"\"Doc.\"\"\"\n    def inner(): pass\n\
                async def g():\n    \"\"\" \"\"\"\n";
    assert_eq!(items(Python, text), ["+A", "run", "+f", "g"]);
}

#[test]
fn byte_order_mark_and_windows_line_ends_change_nothing() {
    let text = "def f(a):\r\n    if a:\r\n        return 1\r\n\r\n    return 2\r\n";
    assert_eq!(functions(Python, text), [("f".to_owned(), 4, 1, 2)]);
    assert_eq!(facts(Python, text).code_lines, 4);
}
