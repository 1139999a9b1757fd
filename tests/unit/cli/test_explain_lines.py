"""The lines of an explanation: which parts of it are told, in which order, and which are not."""

import msgspec
import pytest

from headgate.cli.explain import certified, question, text
from headgate.compile.explanation import (
    Condition,
    EndpointState,
    Explanation,
    NearMiss,
    Outcome,
    Outranked,
    Step,
    UpstreamShare,
    Won,
)
from headgate.compile.routing import Question
from headgate.kernel.errors import Invalid

BARE = Won("shop", 0, "a.example", 0, [], Outcome("forward", "/x"))
FOUND = Explanation("GET", "http://a.example/x", "web", "/x", "a.example", won=BARE)
ROUTE = "route shop, match 0, host a.example"


def said(**changed: object) -> list[str]:
    """The lines of an explanation after the first one, without the gaps before places."""
    first, *rest = text(msgspec.structs.replace(FOUND, **changed))
    assert first.endswith("  on listener web")
    return [_narrow(line) for line in rest]


def won(**changed: object) -> list[str]:
    """The lines of one that a route takes."""
    return said(won=msgspec.structs.replace(BARE, **changed))


def _narrow(line: str) -> str:
    head, gap, place = line.partition("  c.toml:")
    return f"{head.rstrip()} @{place}" if gap else line


def ended(**changed: object) -> list[str]:
    """The lines of an outcome."""
    return won(outcome=msgspec.structs.replace(BARE.outcome, **changed))[1:]


def test_what_is_not_there_has_no_line() -> None:
    assert list(text(FOUND)) == [
        "GET http://a.example/x  on listener web",
        ROUTE,
        "forwarded as /x",
    ]
    connection = msgspec.structs.replace(FOUND, method="", url="tcp://127.0.0.1:1", path="")
    assert list(text(connection))[:2] == ["tcp://127.0.0.1:1  on listener web", "TCP route shop"]


def test_a_request_is_told_as_it_is_read() -> None:
    assert said(dropped=["x-a", "x-b"])[0] == "header lines that are dropped: x-a, x-b"
    assert said(path="/y")[0] == "the path is made normal: /y"
    assert said(url="http://a.example/x?q=/y", path="/x")[0] == ROUTE
    assert said(refused="it is odd", refused_status=400) == ["refused with 400: it is odd"]
    assert said(won=None) == ["no route takes it, 404: none of a.example matches"]
    assert said(won=None, host=None) == ["no route takes it, 404: no host fits on this listener"]


def test_a_route_is_told_with_its_conditions_and_middlewares() -> None:
    steps = [Step("rewrite", "", "c.toml:7"), Step("hsts", "main", "c.toml:8", "adds a header")]
    held = [Condition("path", "paths[0]", "path /x is under /", "c.toml:6")]
    assert won(
        place="c.toml:5",
        quarantined="it is bad",
        held=held,
        middlewares=steps,
        shedding="503 at once",
    ) == [
        f"{ROUTE} @5",
        "  quarantined, it is bad",
        "  path /x is under / @6",
        "middlewares, in order:",
        "  1. rewrite @7",
        "  2. main (hsts): adds a header @8",
        "forwarded as /x",
        "while there is too much to do: 503 at once",
    ]


def test_a_forwarded_request_is_told_with_where_it_may_go() -> None:
    endpoints = [
        EndpointState("10.0.0.1:80", 1, backup=False),
        EndpointState("10.0.0.2:80", 2, backup=True, state="up", why="it is", negotiated="h2"),
    ]
    one = UpstreamShare("one", 3, "random", endpoints, "c.toml:9")
    two = UpstreamShare("two", 1, "", [], "c.toml:10", "endpoint", "h2c", "v2")
    shown = UpstreamShare("shown", 1, "random", [], "c.toml:11", "b.example")
    assert won(
        upstreams=[one, two],
        mirrored=[shown],
        sticky="by a cookie",
        sticky_place="c.toml:1",
        retry="up to 2",
        retry_place="c.toml:2",
        mirror=["to shown"],
        mirror_place="c.toml:3",
    )[2:] == [
        "sticky: by a cookie @1",
        "retries: up to 2 @2",
        "mirror: to shown @3",
        "upstream one (random, weight 3) @9",
        "  10.0.0.1:80  weight 1",
        "  10.0.0.2:80  weight 2  backup  up  agreed on h2",
        "    it is",
        "upstream two (h2c, PROXY v2, weight 1), Host of the endpoint @10",
        "mirror shown (random, weight 1), Host b.example @11",
    ]
    assert won(upstreams=[one])[2] == "upstream one (random) @9"
    answered = Outcome("answer", status=204)
    assert won(outcome=answered, upstreams=[one])[1:] == ["answered with 204"]


def test_an_outcome_is_told_with_what_may_come_before_it() -> None:
    assert ended(host="b.example", unless=["fault", "jwt"]) == [
        "forwarded as /x, Host b.example, unless fault or jwt answers first"
    ]
    assert ended(target="") == ["passed on as it is"]
    assert ended(target="", detail="TLS is ended here") == ["TLS is ended here"]
    assert ended(kind="answer", status=204) == ["answered with 204"]
    assert ended(kind="refuse", status=403, detail="no") == ["refused with 403: no"]
    assert ended(kind="refuse", detail="no") == ["refused: no"]
    words = [("JWT-SUB", "${jwt:sub}")]
    assert ended(headers=[("a", "b")], removed=["x-*", "c"], placeholders=words)[1:] == [
        "  a: b",
        "  without x-*, c",
        "  JWT-SUB stands for ${jwt:sub}, which only a request has",
    ]


def test_those_that_came_close_are_told_with_why_they_did_not_win() -> None:
    failed = [Condition("method", "methods", "GET is none of POST", "c.toml:4")]
    near = [
        NearMiss("post", 1, "a.example", 0, failed, place="c.toml:3"),
        NearMiss("late", 0, "a.example", 0, [], Outranked("order", "it is first"), "c.toml:9"),
    ]
    other = "  route post, match 1, host a.example @3"
    assert said(near=near)[2:] == [
        "close:",
        other,
        "    GET is none of POST @4",
        "  route late, match 0: all holds @9",
        "    but shop goes first: it is first",
    ]
    assert said(near=near, won=None)[1:] == [
        "close:",
        other,
        "    GET is none of POST @4",
        "  route late, match 0, host a.example @9",
    ]


def test_a_question_has_its_headers_in_order_and_those_that_come_twice_as_a_list() -> None:
    headers = ["a: 1", " b :2 ", "a:3", "a: 4", "c:"]
    asked = question(["PUT", "http://a/"], headers, "::1", "web", "s", ("h2",))
    lines: dict[str, str | list[str]] = {"a": ["1", "3", "4"], "b": ["2"], "c": [""]}
    assert asked == Question("http://a/", "PUT", lines, "::1", "web", sni="s", alpn=["h2"])
    assert question(["http://a/"]) == Question("http://a/")


@pytest.mark.parametrize(
    ("words", "header", "client", "why"),
    [
        (["http://a/"], "a: b", "nobody", '"nobody" is not an address'),
        (["GET", "http://a/", "x"], "a: b", "::1", '"GET http://a/ x" is not a request'),
        ([], "a: b", "::1", '"" is not a request'),
        (["http://a/"], "a", "::1", '"a" is not a header'),
        (["http://a/"], " : b", "::1", '" : b" is not a header'),
    ],
)
def test_words_that_are_no_question_are_refused(
    words: list[str], header: str, client: str, why: str
) -> None:
    with pytest.raises(Invalid, match=why):
        question(words, [header], client)


def test_a_client_has_the_certificate_that_its_words_describe() -> None:
    asked = Question("https://a/")
    fingerprint = "AB:" * 31 + "AB"
    found = certified(asked, "CN=ann", ["dns:A.example"], fingerprint)
    assert (found.client_subject, found.client_san) == ("CN=ann", ["dns:a.example"])
    assert found.client_fingerprint == "ab" * 32
    assert certified(asked, None, [], None) == asked
    with pytest.raises(Invalid, match="is a pattern"):
        certified(asked, None, ["dns:*.example"], None)
