"""`cookies` as a match: which requests fit, its mistakes, and what nginx's expressions read."""

import re
from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_files import MemoryFiles

from headgate.compile.asked import made, where
from headgate.compile.lint_patterns import patterns
from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.compile.routing import Question, Routing
from headgate.features.match.cookie.nginx import condition
from headgate.features.nginx import Shared
from headgate.kernel.ids import ObjectName
from headgate.nginxtext.tree import Directive
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import ValueMatch

TEXT = """
[listeners.web]
address = "127.0.0.1:8000"
default = true

[routes.some]
match = [{{ cookies = {match} }}]
respond = {{ body = "some" }}

[routes.any]
respond = {{ body = "any" }}
"""


def compiled(match: str) -> Loaded:
    return load([PurePath("c.toml")], MemoryFiles({"c.toml": TEXT.format(match=match)}), {})


def routing(match: str) -> Routing:
    found = compiled(match)
    assert found.plan is not None, [str(one) for one in found.errors]
    return Routing(found.plan)


@pytest.mark.parametrize(
    ("match", "lines", "fits"),
    [
        ('{ sid = { exact = "1" } }', ["sid=1"], True),
        ('{ sid = { exact = "1" } }', ["a=b;sid = 1 ;c=d"], True),
        ('{ sid = { exact = "1" } }', ["a=b", "sid=1; sid=2"], True),
        ('{ sid = { exact = "1" } }', ["sid=2; sid=1"], False),
        ('{ sid = { exact = "1" } }', ["SID=1"], False),
        ('{ sid = { exact = "1" } }', ['sid="1"'], True),
        ("{ sid = { exact = '\"1\"' } }", ['sid="1"'], False),
        ('{ sid = { exact = "" } }', ["sid="], True),
        ('{ sid = { exact = "" } }', ["sid"], False),
        ('{ sid = { exact = "" } }', [], False),
        ('{ sid = { prefix = "1" } }', ["sid=1, sid=2"], True),
        ('{ sid = { regex = "[0-9]+" } }', ["sid=12"], True),
        ('{ sid = { regex = "[0-9]+" } }', ["sid=12x"], False),
        ("{ sid = { present = true }, SID = { absent = true } }", ["sid=1"], True),
        ("{ sid = { present = true }, SID = { absent = true } }", ["sid=1; SID=2"], False),
        ('{ "$a.b|" = { exact = "x=y" } }', ["$a.b|=x=y"], True),
    ],
)
def test_the_first_cookie_of_a_name_decides(match: str, lines: list[str], fits: bool) -> None:
    one = routing(match)
    found = one.find(one.request(Question("http://a.example/", headers={"Cookie": lines})))
    assert found is not None
    assert found.route == ("some" if fits else "any")


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ('{ "a b" = { exact = "1" } }', '"a b" is not the name of a cookie; write letters'),
        ('{ "" = { present = true } }', '"" is not the name of a cookie; write letters'),
        ('{ "a=b" = { exact = "1" } }', '"a=b" is not the name of a cookie; write letters'),
        ('{ sid = { exact = "1", prefix = "1" } }', "exclude each other"),
        ("{ sid = { present = false } }", "write true, the only value"),
    ],
)
def test_mistakes_are_named_with_their_place(match: str, said: str) -> None:
    loaded = compiled(match)
    text = "\n".join(str(one) for one in loaded.diagnostics)
    assert loaded.plan is None
    assert said in text
    assert "routes.some.match[0].cookies" in text


def test_requests_that_are_made_of_routes_have_the_cookies() -> None:
    one = routing('{ sid = { exact = "" }, b = { present = true }, c = { absent = true } }')
    (_, second) = made(one.plan)
    assert second.headers == {"cookie": "b=x; sid="}
    assert where(one, second) == "route some"
    assert len(made(routing('{ sid = { regex = "1" } }').plan)) == 1


def test_a_text_that_reads_like_an_expression_is_told_of() -> None:
    plan = routing('{ sid = { exact = "[0-9]+" } }').plan
    entry = plan.objects[ObjectKey("route", ObjectName("some"))]
    assert [at for at, *_ in patterns(entry)] == [("match", 0, "cookies", "sid", "exact")]


VALUES = ("", "1", "a=b", '"1"', '"', "a b", ";", "\u00e9")
EXPRESSIONS = ("1*", "[^1]+", '"?[a1]', "(?i:A)")
RULES = st.one_of(
    st.builds(lambda text: ValueMatch(exact=text), st.sampled_from(VALUES)),
    st.builds(lambda text: ValueMatch(prefix=text), st.sampled_from(VALUES)),
    st.builds(lambda text: ValueMatch(regex=text), st.sampled_from(EXPRESSIONS)),
    st.just(ValueMatch(present=True)),
    st.just(ValueMatch(absent=True)),
)
NAMES = ("a", "A", "$a", "a.b")
PIECES = st.one_of(
    st.text(st.sampled_from('aA1$.b=" \t,\u00e9'), max_size=8),
    st.builds(
        lambda *parts: "".join(parts),
        st.sampled_from(("", " ", "\t")),
        st.sampled_from(NAMES),
        st.sampled_from(("=", " =", "= ", "")),
        st.sampled_from(VALUES),
        st.sampled_from(("", " ", " \t")),
    ),
)


def expected(line: str, name: str, rule: ValueMatch) -> bool:
    value = None
    for piece in line.split(";"):
        key, equals, text = piece.partition("=")
        if equals and key.strip(" \t") == name:
            value = text.strip(" \t")
            break
    if value is None or rule.absent:
        return value is None and rule.absent is True
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if rule.exact is not None:
        return value == rule.exact
    if rule.prefix is not None:
        return value.startswith(rule.prefix)
    return rule.present is True or re.fullmatch(rule.regex or "", value) is not None


def read(shared: Shared, variable: bytes, line: bytes) -> bytes:
    """The value of a variable of ours, as nginx finds it in its maps."""
    blocks = {n.values[1]: n for n in shared.nodes if isinstance(n, Directive)}
    block = blocks[variable]
    source = block.values[0]
    text = line if source == b"$http_cookie" else read(shared, source, line)
    default, *entries = block.directives()
    assert default.name == b"default"
    for entry in entries:
        if not text or not entry.name:  # nginx tries no expression on an empty text
            if text == entry.name:
                return answer(shared, entry.values[0], line, None)
            continue
        expression = entry.name.removeprefix(b"~").replace(b"(?<", b"(?P<").replace(rb"\z", rb"\Z")
        # It finds the same without `+`; up to 3.11.4, Python's groups that give nothing back fail.
        found = re.search(expression.replace(b")*+", b")*"), text)
        if found:
            return answer(shared, entry.values[0], line, found)
    return answer(shared, default.values[0], line, None)


def answer(shared: Shared, word: bytes, line: bytes, found: re.Match[bytes] | None) -> bytes:
    if word == b"$hg_cookie":
        assert found is not None
        return found["hg_cookie"]
    return read(shared, word, line) if word.startswith(b"$") else word


@given(st.lists(PIECES, max_size=4).map(";".join), st.sampled_from(NAMES), RULES)
def test_nginx_s_expressions_read_cookies_as_the_core_does(
    line: str, name: str, rule: ValueMatch
) -> None:
    shared = Shared()
    variable = condition(name, rule, shared)
    found = read(shared, b"$" + variable.name.encode(), line.encode())
    assert found == (b"1" if expected(line, name, rule) else b"0")
