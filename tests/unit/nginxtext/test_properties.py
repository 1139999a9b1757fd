"""Whatever is parsed round-trips, and is what nginx's own state machine reads."""

from collections.abc import Iterator, Sequence

from hypothesis import given
from hypothesis import strategies as st
from nginx_reference import RefusedError, statements

from headgate.nginxtext.parse import NginxSyntaxError, parse
from headgate.nginxtext.tree import Directive, Node
from headgate.nginxtext.writer import (
    LONGEST,
    Arg,
    Literal,
    MapKey,
    Plain,
    Regex,
    Template,
    UnsafeValueError,
    Var,
    Word,
    argument,
    comment,
    directive,
    entry,
    render,
)

PIECES = [b'"', b"'", b"\\", b"$", b"{", b"}", b";", b"#", b" ", b"\n", b"\r", b"\t", b")", b"("]
PIECES += [
    b"${",
    b'\\"',
    b"a",
    b"bc",
    b"\x00",
    b"\xff",
    b"\x0b",
    b"\xc2\xa0",
    b"a b;",
    b"a{",
    b"};",
]
SOUP = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)


def _read(nodes: Sequence[Node]) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """The statements of a tree as the reference tells them."""
    for node in nodes:
        if isinstance(node, Directive):
            words = (node.name, *node.values)
            if node.children is None:
                yield ";", words
            else:
                yield "{", words
                yield from _read(node.children)
                yield "}", ()


def _accepts(data: bytes) -> list[tuple[str, tuple[bytes, ...]]] | None:
    """The reference's statements, None if it refuses or blocks do not close."""
    try:
        read = statements(data)
    except RefusedError:
        return None
    depth = 0
    for end, _ in read:
        depth += {"{": 1, "}": -1, ";": 0}[end]
        if depth < 0:
            return None
    return None if depth else read


@given(SOUP | st.binary(max_size=60))
def test_parse_agrees_with_nginx_lexer(data: bytes) -> None:
    expected = _accepts(data)
    try:
        document = parse(data)
    except NginxSyntaxError:
        assert expected is None
        return
    assert document.to_bytes() == data
    assert list(_read(document.nodes)) == expected


TRICKS = [
    "a; return 403",
    "}",
    "{",
    "a } location / { return 200",
    "$host",
    "${host}",
    "$",
    "a$",
    "$$",
    "\\$host",
    '"',
    "'",
    '\\"',
    "\\",
    "a\\",
    "\\\\",
    "#",
    " # c",
    "",
    " ",
    "~^a",
    "default",
    "include",
    "\u00a0",
    "\u2028",
    "\ufeff",
    "${",
    "$(a)",
    "a b",
    "content_by_lua_block {",
    "]]",
    "--",
    "é{;}",
    "🙂",
    "off",
    "=",
    ")",
    '")',
    "x" * LONGEST,
]
TEXTS = st.sampled_from(TRICKS) | st.text(max_size=40) | st.text("\"\\$ {};#'ab\n", max_size=20)
VARS = st.sampled_from(["host", "request_uri", "1", "9"]).map(Var)
PARTS = st.lists(TEXTS | VARS, max_size=5).map(tuple)


def _inert(text: str) -> str:
    return text.replace("$", "${hg_dollar}")


def _template_value(parts: tuple[str | Var, ...]) -> str:
    def written(part: Var) -> str:
        return f"${part.name}" if part.name.isdigit() else f"${{{part.name}}}"

    return "".join(_inert(part) if isinstance(part, str) else written(part) for part in parts)


@st.composite
def _args(draw: st.DrawFn) -> tuple[Arg, str]:
    """A writer's argument and the value nginx is to read."""
    text = draw(TEXTS)
    kinds: list[tuple[Arg, str]] = [
        (Literal(text), _inert(text)),
        (Plain(text), text),
        (Regex(text), text),
        (MapKey(text), "\\" + text),
        (Word("10.0.0.1:80"), "10.0.0.1:80"),
        (Var("host"), "$host"),
    ]
    parts = draw(PARTS)
    kinds.append((Template(parts), _template_value(parts)))
    return draw(st.sampled_from(kinds))


def _is_safe(arg: Arg) -> bool:
    try:
        argument(arg)
    except UnsafeValueError:
        return False
    return True


WRITTEN = _args().filter(lambda pair: _is_safe(pair[0]))
LINES = st.tuples(
    st.sampled_from(["add_header", "return", "include", "default"]), st.lists(WRITTEN, max_size=4)
)
TREES = st.recursive(
    st.lists(LINES, max_size=3).map(lambda lines: [(name, args, None) for name, args in lines]),
    lambda inner: st.lists(
        st.tuples(st.just("location"), st.lists(WRITTEN, max_size=2), inner), max_size=3
    ),
    max_leaves=6,
)
Intended = tuple[str, list[tuple[Arg, str]], "list[Intended] | None"]


def _nodes(trees: list[Intended]) -> list[Node]:
    nodes: list[Node] = []
    for name, args, inner in trees:
        children = None if inner is None else _nodes(inner)
        nodes.append(comment(f"{name} ; }} {{ $"))
        nodes.append(directive(name, *(arg for arg, _ in args), children=children))
    return nodes


def _intended(trees: list[Intended]) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    for name, args, inner in trees:
        words = (name.encode(), *(value.encode() for _, value in args))
        if inner is None:
            yield ";", words
        else:
            yield "{", words
            yield from _intended(inner)
            yield "}", ()


@given(TREES)
def test_what_is_rendered_reads_as_exactly_the_intended_tree(trees: list[Intended]) -> None:
    text = render(_nodes(trees))
    intended = list(_intended(trees))
    assert list(_read(parse(text).nodes)) == intended
    assert statements(text) == intended
    assert render(parse(text).nodes) == text


@given(WRITTEN, WRITTEN)
def test_an_entry_is_one_statement_of_its_values(
    key: tuple[Arg, str], value: tuple[Arg, str]
) -> None:
    text = render([entry(key[0], value[0])])
    assert statements(text) == [(";", (key[1].encode(), value[1].encode()))]
