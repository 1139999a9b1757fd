"""Expressions of ours take the paths that nginx's take, and no other."""

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.nginx.imports import exact

PIECES = [
    "a",
    "B",
    "/",
    ".",
    "\\.",
    "[a-c]",
    "[^/]",
    "[^a;]",
    "\\d",
    "\\w",
    "\\s",
    "\\W",
    "(?:a|;)",
]
PIECES += ["(x|/y)", "[\\w.-]", "3B", "b\\?", "~", "-", "[;%]", "[.\\]]", "\\n"]
QUANTIFIERS = ["", "", "", "*", "+", "?", "{2}", "{1,2}", "+?"]
PATTERNS = st.builds(
    lambda begin, parts, end: begin + "".join(parts) + end,
    st.sampled_from(["", "^", "^/"]),
    st.lists(
        st.builds(lambda a, b: a + b, st.sampled_from(PIECES), st.sampled_from(QUANTIFIERS)),
        min_size=1,
        max_size=6,  # each may become 140 bytes, and ours may have 1,000
    ),
    st.sampled_from(["", "$", "|/b$"]),
)
CHARACTERS = [
    "a",
    "b",
    "B",
    "c",
    "x",
    "y",
    "/",
    ".",
    ";",
    "%3B",
    "%20",
    "%0A",
    "%25",
    "%5D",
    "~",
    "-",
]
CHARACTERS += ["3", "_", "%F0%9F", "9", "%3F", "%5B"]
PATHS = st.lists(st.sampled_from(CHARACTERS)).map(lambda found: "/" + "".join(found))


@given(PATTERNS, st.booleans(), PATHS)
def test_what_is_said_exactly_takes_the_same_paths(pattern: str, any_case: bool, path: str) -> None:
    ours = exact.expression(pattern.encode(), any_case=any_case)
    assert ours is not None, pattern
    flags = re.IGNORECASE if any_case else 0
    there = re.search(pattern.encode(), unquote_to_bytes(path), flags)
    here = re.fullmatch(ours, path)
    assert (there is None) == (here is None), (pattern, ours, path)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=x)",
        "(?<!x)y",
        "(a)\\1",
        "a++",
        "(?>a)",
        "[[:alpha:]]",
        "\\bx",
        "\\pL",
        "(?s)a.",
        "(?i:a)",
        "[z-a]",
        "^/a\\z",
        "(x\\z|y)",
    ],
)
def test_what_only_pcre_can_say_has_no_counterpart(pattern: str) -> None:
    assert exact.expression(pattern.encode(), any_case=False) is None
