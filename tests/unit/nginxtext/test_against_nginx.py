"""The real nginx accepts the texts we accept, and reads the values we meant.

In `types` any words may stand, so that what it refuses there it refuses for its lexer.
"""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nginx_oracle import NginxOracle

from headgate.nginxtext.parse import NginxSyntaxError, parse
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Plain, UnsafeValueError, Word, argument, entry, render

PIECES = [b'"', b"'", b"\\", b"$", b"{", b"}", b";", b"#", b" ", b"\n", b"\r", b"\t", b")", b"${"]
PIECES += [b"a", b"b c", b"\x0b", b"\xc2\xa0", b"\xff", b'"x"', b"'y'", b";\nd ", b" e;"]
SOUP = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
AGAINST_NGINX = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> NginxOracle:
    return NginxOracle(tmp_path_factory.mktemp("nginx"))


def _expected(inside: bytes) -> bool | None:
    """Whether nginx should accept this inside `types`; None where not the lexer decides."""
    try:
        (types,) = parse(b"types {" + inside + b"\n}").directives()
    except NginxSyntaxError:
        return False
    except ValueError:
        return None  # a `}` in the text closed the block
    lines: list[Directive] = list(types.directives())
    if any(line.children is not None for line in lines):
        return False
    if any(line.name in (b"include", b"") or b"" in line.values for line in lines):
        return None
    return True


@AGAINST_NGINX
@given(SOUP)
def test_nginx_accepts_what_we_accept(nginx: NginxOracle, inside: bytes) -> None:
    expected = _expected(inside)
    if expected is not None:
        verdict = nginx.test_http(b"types {" + inside + b"\n}")
        assert verdict.accepted == expected, verdict.output


@pytest.mark.parametrize("kind", ["bare", "spaced", "double", "single", "comment", "last comment"])
@pytest.mark.parametrize("size", range(4090, 4100))
def test_nginx_and_we_refuse_the_same_lengths(nginx: NginxOracle, kind: str, size: int) -> None:
    filler = b"x" * size
    inside = {
        "bare": b"types {\na %s;\n}" % filler,
        "spaced": b"types {\na %s ;\n}" % filler,
        "double": b'types {\na "%s";\n}' % filler,
        "single": b"types {\na '%s' b;\n}" % filler,
        "comment": b"#%s\n" % filler,
        "last comment": b"types { }\n",
    }[kind]
    text = b"events {}\nhttp {\n" + inside + b"}\n"
    if kind == "last comment":
        text += b"#" + filler
    try:
        parse(text)
        ours = True
    except NginxSyntaxError as error:
        assert "too long" in error.message
        ours = False
    # A word this long is not refused by `types`, but its hash has no bucket for it.
    verdict = nginx.test(text)
    theirs = verdict.accepted or b"could not build" in verdict.output
    assert theirs == ours, verdict.output


@AGAINST_NGINX
@given(st.text(max_size=60) | st.text("\\\"'$ {};#abnrt", max_size=30))
def test_nginx_reads_the_value_that_was_written(nginx: NginxOracle, text: str) -> None:
    try:
        argument(Plain(text))
    except UnsafeValueError:
        return
    if not text:
        return
    # Twice the same extension: nginx's warning quotes it, in lower case.
    lines = render([entry(Word("first"), Plain(text)), entry(Word("second"), Plain(text))])
    verdict = nginx.test_http(b"types {\n" + lines + b"}")
    found = re.search(
        rb'duplicate extension "(.*)", content type: "second", previous', verdict.output, re.DOTALL
    )
    assert found is not None, verdict.output
    assert found[1] == text.encode().lower()
