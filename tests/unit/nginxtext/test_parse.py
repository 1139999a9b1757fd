"""What is parsed comes out byte for byte, and says where it stands."""

import pytest

from headgate.nginxtext.parse import NginxSyntaxError, parse
from headgate.nginxtext.tree import Comment, Directive, walk

NBSP = "\u00a0".encode()

LOSSLESS = [
    b"",
    b" \r\n\t",
    b"# only a comment",
    b"user www;\r\nhttp\t{\r\n\tserver { }\r\n}\r\n",
    b"a 'x;y' \"z{\" # c ; } \n b; # tail",
    b"rewrite ^ ${scheme}://x${request_uri} permanent;",
    b'if ($a = "b") { return 403; }',
    b'if ("$a" ~ "b"){return 403;}',
    b"log_format x '$a \"$b\" '\n   '{$c}';",
    b'location ~ "^/a{2}$" { }',
    b"root /srv/a" + NBSP + b"b;\x0b\x0c c;",
    b"\xef\xbb\xbfuser www;",
    b"return 200 '\xff\xfe\x00';",
    b"a\\;b c\\ d;",
    b"a $${{b;",
    b"a}b c}d;",
    b"\\} x;",
    b'map "" $x { "" 1; }',
    b"a # one\n # two\n b;",
    b"a{b{c{}}}",
]


@pytest.mark.parametrize("data", LOSSLESS)
def test_round_trip_is_byte_exact(data: bytes) -> None:
    assert parse(data).to_bytes() == data


def _one(data: bytes) -> Directive:
    (directive,) = parse(data).directives()
    return directive


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (b"a b;", (b"b",)),
        (b"a ${b} c${d}e;", (b"${b}", b"c${d}e")),
        (b"a ${b}://x${c} d;", (b"${b}://x${c}", b"d")),
        (b"a \"x y\" 'z;';", (b"x y", b"z;")),
        (b'a "\\"\\\'\\\\\\t\\r\\n\\d";', (b"\"'\\\t\r\n\\d",)),
        (b'a b"c d";', (b'b"c', b'd"')),
        (b'a "b")c;', (b"b", b")c")),
        (b"a b\xc2\xa0c;", (b"b\xc2\xa0c",)),
        (b"a \\# b;", (b"\\#", b"b")),
        (b"a #b\n c;", (b"c",)),
        (b"a b#c;", (b"b#c",)),
        (b'a "";', (b"",)),
    ],
)
def test_words_are_those_nginx_reads(data: bytes, values: tuple[bytes, ...]) -> None:
    assert _one(data).values == values


def test_directives_know_line_and_column() -> None:
    document = parse(b"# c\na;\n  b {\n\tc 'x\ny'; d;\n}\n e;")
    places = {d.name: (d.line, d.column) for d in walk(document.nodes)}
    assert places == {b"a": (2, 1), b"b": (3, 3), b"c": (4, 2), b"d": (5, 5), b"e": (7, 2)}
    (comment,) = (node for node in document.nodes if isinstance(node, Comment))
    assert (comment.text, comment.line, comment.column) == (b"# c", 1, 1)


@pytest.mark.parametrize(
    ("data", "line", "column", "message"),
    [
        (b"a", 1, 2, 'unexpected end of file, expecting ";" or "{"'),
        (b"a {\n b;\n", 1, 1, 'the block "a" is not closed'),
        (b"a;\n}", 2, 1, 'unexpected "}"'),
        (b"a {\n b }\n", 2, 4, 'unexpected "}", expecting ";" or "{"'),
        (b";", 1, 1, 'unexpected ";"'),
        (b"a;\n {", 2, 2, 'unexpected "{"'),
        (b'a "b"c;', 1, 6, 'unexpected "c" after a quoted word'),
        (b'a "b"\x00;', 1, 6, "unexpected byte 0x00 after a quoted word"),
        (b'a;\nb "c;\n', 2, 3, 'the string that begins here has no closing "'),
        (b"a 'b\\';", 1, 3, "the string that begins here has no closing '"),
        (b"a \\", 1, 3, "the text ends after a backslash"),
        (b"a_by_lua_block {\n }}}", 2, 3, 'unexpected "}"'),
        (b"x;a_by_lua_block { {}", 1, 18, 'the Lua block that begins here has no closing "}"'),
    ],
)
def test_what_is_refused_is_named_with_its_place(
    data: bytes, line: int, column: int, message: str
) -> None:
    with pytest.raises(NginxSyntaxError) as refused:
        parse(data, "x.conf")
    error = refused.value
    assert (error.line, error.column, error.message) == (line, column, message)
    assert str(error) == f"x.conf:{line}:{column}: {message}"


@pytest.mark.parametrize(
    "body",
    [
        b" ngx.say('}') ",
        b' local s = "\\"}" -- } \n',
        b" local s = [[ } ]] local t = [==[ ]] } ]==] ",
        b" --[[ } ]] --[=[ } ]] ]=] local t = { { } } ",
        b" local t = a[b[1]] ",
        b" -- it's\n ",
        b' "\\"\\" \n "}" \n ',
        b" '\\' { \"}\" \n } '}' \n ",
        b" 'a\\\n '}' \n ",
        b"",
    ],
)
def test_lua_blocks_are_kept_as_they_are(body: bytes) -> None:
    data = b"x { set_by_lua_block $a {" + body + b"} exit_worker_by_lua_block {" + body + b"} y; }"
    document = parse(data)
    assert document.to_bytes() == data
    found = list(walk(document.nodes))
    assert [d.body for d in found] == [None, body, body, None]
    assert found[1].values == (b"$a",)


def test_blocks_nest_to_any_depth() -> None:
    data = b"a{" * 50_000 + b"}" * 50_000
    document = parse(data)
    assert document.to_bytes() == data
    assert sum(1 for _ in walk(document.nodes)) == 50_000


def test_a_long_run_of_comments_costs_no_stack() -> None:
    data = b"#\n" * 200_000 + b"a " + b"#\n" * 200_000 + b"b" + b" c" * 200_000 + b";"
    assert parse(data).to_bytes() == data


@pytest.mark.parametrize("quote", [b'"', b"'"])
def test_a_lua_string_without_an_end_costs_one_pass(quote: bytes) -> None:
    data = b"x_by_lua_block {" + quote + (b"\\" + quote) * 400_000 + b"\n}"
    assert parse(data).to_bytes() == data
