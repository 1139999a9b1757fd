"""What tools/rust_functions.py takes for a function and for its end."""

from rust_functions import functions, structs


def test_a_body_ends_at_its_own_brace() -> None:
    text = "fn a() -> [u8; 2] {\n    if x {\n    }\n}\n\npub(crate) const fn b<T>() {}\n"
    assert list(functions(text)) == [("a", 4), ("b", 1)]


def test_declarations_have_no_body() -> None:
    assert list(functions("trait T {\n    fn a(&self) -> u8;\n    fn b(&self) {\n    }\n}")) == [
        ("b", 2)
    ]


def test_braces_in_strings_characters_and_comments_do_not_count() -> None:
    body = [
        r'"{ \" {"',
        r'r#"{ " {"#',
        "b'{'",
        r"'\''",
        r"'\u{7b}'",
        "// {",
        "/* {\n { */",
        "let x: &'a str = y; // '{'",
    ]
    for line in body:
        text = f"fn a<'a>() {{\n    {line}\n}}\nfn b() {{}}\n"
        expected = [("a", 3 + line.count("\n")), ("b", 1)]
        assert list(functions(text)) == expected, line


def test_fields_are_counted_and_what_is_in_their_types_is_not() -> None:
    text = """
/// Fields: many, here: none.
pub struct A<'a, F: Fn(u8) -> u8> where F: Copy {
    #[serde(default = "x::y")]
    pub(crate) r#type: std::collections::HashMap<u8, (u8, [u8; 2])>,
    /// Of it: this.
    b: &'a dyn Fn(u8) -> Box<dyn Fn(u8)>,
    c: F,
}
struct Tuple(u8, u8);
struct Unit;
struct Empty {}
"""
    assert list(structs(text)) == [("A", 3), ("Empty", 0)]


def test_inner_functions_are_found_too() -> None:
    assert list(functions("fn a() {\n    fn b() {\n    }\n}\n")) == [("a", 4), ("b", 2)]


def test_a_function_that_never_ends_reaches_to_the_end() -> None:
    assert list(functions("fn a() {\n{\n\n")) == [("a", 4)]
