"""What the writer writes, and what it refuses."""

import pytest

from headgate.nginxtext.parse import parse
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import (
    Arg,
    FilePath,
    Literal,
    Op,
    Plain,
    Regex,
    Template,
    UnsafeValueError,
    Var,
    Word,
    argument,
    comment,
    directive,
    dollar,
    if_,
    render,
)


def test_text_is_readable_and_quoted_only_where_needed() -> None:
    nodes: list[Node] = [
        comment("route shop"),
        directive(
            "location",
            Op("^~"),
            Plain("/a b/"),
            children=[
                directive("proxy_pass", Template(("http://", Var("up"), "/x"))),
                directive("add_header", Word("X-Cost"), Literal('5 $ "net"'), Word("always")),
            ],
        ),
        directive("server", children=[]),
    ]
    assert render(nodes) == (
        b"# route shop\n"
        b'location ^~ "/a b/" {\n'
        b'    proxy_pass "http://${up}/x";\n'
        b'    add_header X-Cost "5 ${hg_dollar} \\"net\\"" always;\n'
        b"}\n"
        b"server {\n"
        b"}\n"
    )


def test_conditions_are_written_with_parentheses_of_their_own() -> None:
    node = if_(Var("request_method"), "=", Literal("POST)"), children=[])
    assert render([node]) == b"if ( $request_method = POST) ) {\n}\n"


def test_line_ends_are_data_only_where_asked_for() -> None:
    assert argument(Literal("a\r\n\tb", lines=True)).raw == b'"a\\r\\n\\tb"'
    with pytest.raises(UnsafeValueError, match="U\\+000A"):
        argument(Literal("a\nb"))


@pytest.mark.parametrize("text", ["a\nb", "\r", "\x00", "\x1b[1m", "\x7f", "\x85", "\ud800"])
@pytest.mark.parametrize("kind", [Literal, Plain, Regex, FilePath])
def test_controls_and_half_characters_are_refused(kind: type[Plain], text: str) -> None:
    with pytest.raises(UnsafeValueError):
        argument(kind(text))
    with pytest.raises(UnsafeValueError):
        comment(text)


@pytest.mark.parametrize(
    "arg", [FilePath("/srv/$host"), FilePath(""), Literal("$" * 400), Plain("x" * 4001)]
)
def test_what_cannot_be_written_is_refused(arg: Arg) -> None:
    with pytest.raises(UnsafeValueError):
        argument(arg)


@pytest.mark.parametrize("text", ["", "a b", "a;", "$x", "a{", '"', "~x", "é"])
def test_words_are_our_own_only(text: str) -> None:
    with pytest.raises(ValueError, match="not a word of ours"):
        Word(text)


def test_names_operators_and_variables_are_from_closed_sets() -> None:
    with pytest.raises(ValueError, match="not an operator"):
        Op("~~")
    for name in ("10", "a-b", "", "a}", "0"):
        with pytest.raises(ValueError, match="not a variable's name"):
            Var(name)
    with pytest.raises(ValueError, match="not a directive's name"):
        directive("a b")


def test_parsed_nodes_are_rendered_with_their_comments_and_lua() -> None:
    text = b"a  b # why\n c;  # tail\ncontent_by_lua_block {\n  x() }\n"
    assert render(parse(text).nodes) == (
        b"a b # why\n c;\n# tail\ncontent_by_lua_block {\n  x() }\n"
    )


def test_the_dollar_variable_is_a_geo_block() -> None:
    assert render([dollar()]) == b'geo $hg_dollar {\n    default "$";\n}\n'
