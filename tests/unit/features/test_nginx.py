"""How features read in nginx: expressions of encoded text, groups without names, chains."""

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.features.match.path.nginx import literal_prefix
from headgate.features.match.query.encoded import encoded_regex, encoded_text
from headgate.features.nginx import Findings, Scope, Shared, quoted, template, unnamed
from headgate.features.nginx_headers import Edits, Headers
from headgate.nginxtext.tree import Comment, Directive
from headgate.nginxtext.writer import Literal, MapKey, Var, Word

SCOPE = Scope(route="r", upstream="u", endpoint=None, shared=Shared())


def latin(text: str) -> str:
    """The bytes of a text, one character each, as PCRE sees them."""
    return text.encode().decode("latin-1")


@given(st.text(max_size=20))
def test_a_text_matches_all_its_encodings_and_no_other_text(text: str) -> None:
    pattern = re.compile(encoded_text(text))
    every = "".join(f"%{byte:02x}" for byte in text.encode())
    assert pattern.fullmatch(quote(text, safe=""))
    assert pattern.fullmatch(every)
    assert pattern.fullmatch(quote(text, safe="").replace("%20", "+"))
    assert not pattern.fullmatch(every + "x")


@pytest.mark.parametrize(
    ("expression", "matching", "other"),
    [
        ("[0-9]+", ["12", "%312"], ["", "a", "%"]),
        ("a.c", ["abc", "a+c", "a%20c", "a%c", "%61%26c"], ["ac", "a&c", "a%0Ac"]),
        (r"(?:x|one)\s?.*", ["x", "one+y", "%78"], ["y"]),
        ("[^a-c]", ["d", "%64", "%25", "%"], ["a", "%61", "+a"]),
        (r"(?P<n>ab){2,3}?\.", ["abab.", "ab%61b%2e"], ["ab.", "ababx"]),
        (r"\d\x41[]x-]", ["1A]", "1%41-", "2Ax"], ["aA]", "1By"]),
    ],
)
def test_an_expression_is_said_of_the_encoded_value(
    expression: str, matching: list[str], other: list[str]
) -> None:
    made = encoded_regex(expression)
    assert made is not None
    assert [value for value in matching if not re.fullmatch(made, value)] == []
    assert [value for value in other if re.fullmatch(made, value)] == []


@pytest.mark.parametrize(
    "expression", [r"\bx", "^a", "a$", "(?i)a", "é", "[[:alpha:]]", r"\pL", "a("]
)
def test_what_cannot_be_said_of_it_is_refused(expression: str) -> None:
    assert encoded_regex(expression) is None


@given(st.text(max_size=30))
def test_a_quoted_text_matches_itself_alone(text: str) -> None:
    assert re.fullmatch(quoted(text), text, re.DOTALL)
    assert not re.fullmatch(quoted(text), text + "x", re.DOTALL)


def test_named_groups_never_become_nginx_s_variables() -> None:
    assert unnamed(r"/(?P<uri>a)(b)\((?<host>[(?P<x>])") == (
        r"/(a)(b)\(([(?P<x>])",
        {"uri": 1, "host": 3},
    )
    assert unnamed("(a)(?:b)(c)", frozenset({2}))[0] == "(a)(?:b)(?<hg_group2>c)"


@pytest.mark.parametrize(
    ("expression", "literal"),
    [
        ("/a/b.*", "/a/b"),
        ("/ab?", "/a"),
        ("/a|/b", ""),
        ("/a{2}", "/"),
        ("(?i)/a", ""),
        ("/x", "/x"),
    ],
)
def test_the_text_that_every_match_begins_with(expression: str, literal: str) -> None:
    assert literal_prefix(expression) == literal


def test_equal_maps_are_one_and_their_names_follow_their_content() -> None:
    shared, other = Shared(), Shared()
    entries = ((MapKey("a"), Word("1")),)
    first = shared.map("x", Var("uri"), entries, Word("0"))
    assert shared.map("x", Var("uri"), entries, Word("0")) == first
    assert other.map("x", Var("uri"), entries, Word("0")) == first
    assert shared.map("x", Var("uri"), entries, Literal("")) != first
    assert sum(isinstance(node, Directive) for node in shared.nodes) == 2


def test_a_note_says_what_differs_wherever_it_is() -> None:
    findings = Findings()
    about = findings.of("route", "app", "action")
    about.note("split", "it is rounded")
    about.note("split", "it is rounded")
    findings.of("route", "app").note("", "it is slower")
    assert [*findings.notes] == [
        "route app: action.split: it is rounded",
        "route app: it is slower",
    ]


def test_a_map_says_for_which_object_it_was_made_first() -> None:
    shared, entries = Shared(), ((MapKey("a"), Word("1")),)
    with shared.owned("route shop"):
        shared.map("x", Var("uri"), entries, Word("0"))
    shared.map("x", Var("uri"), entries, Word("0"))
    shared.map("y", Var("uri"), entries, Word("2"))
    said = [node.text for node in shared.nodes if isinstance(node, Comment)]
    assert said == [b"# route shop", b"# of no single object"]


def test_a_template_becomes_text_and_variables() -> None:
    findings = Findings()
    about = findings.of("route", "r", "at")
    parts = template("a$$b ${host}${header:X-Id} ${route}", SCOPE, about, "key")
    assert parts == ("a$b ", Var("host"), SCOPE.shared.header_value("x-id"), " r")
    template("${endpoint}${header:a_b}", SCOPE, about, "key")
    assert [problem.path for problem in findings.problems] == ["at.key", "at.key"]


def test_edits_compose_as_the_core_s() -> None:
    headers = Headers()
    headers.then(Edits(set=(("a", ("1",)),), add=(("b", ("2",)),)))
    headers.then(Edits(remove=("b",), set=(("a", ("3",)),), add=(("a", ("4",)),)))
    assert headers.drops == ["a", "b"]
    assert headers.lines == [("a", ("3",)), ("a", ("4",))]
