"""Cases of public suites for HTTP/2, each on a connection of its own to one node."""

import re
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from frame_client import FrameClient
from http2_suites import SUITES
from http2_suites.case import PLAIN, Case, Http1Case, forwarded, head, pseudo
from http2_suites.stage import Stage, staged

AFTER = 1001
"""The stream of the request that follows a case."""

LONGEST = 16_384
"""The longest frame that a client takes unless it says so."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """One node for every case. What reached its endpoints after the case that caused it is in the
    way of the next case, or is found here."""
    with tempfile.TemporaryDirectory(prefix="hg-") as folder, staged(Path(folder)) as stage:
        yield stage
        assert stage.reached() == []


def cases(kind: type[Case] | type[Http1Case]) -> list[object]:
    """Every case of a kind, with its name."""
    return [
        pytest.param(case, id=f"{suite.title}-{case.name}")
        for suite in SUITES
        for case in suite.cases
        if isinstance(case, kind)
    ]


def play(stage: Stage, case: Case) -> FrameClient:
    """Sends what a case has, and a request after it, on the same connection unless that ended."""
    scheme = "https" if case.link != PLAIN else "http"
    after = head(pseudo("/after", scheme=scheme), AFTER)
    with stage.frames(case.link, case.opening) as client:
        for at, frames in enumerate(case.sent):
            client.send(frames)
            client.until_over(2 * at + 1)
        if case.goaway is None:
            client.send(after)
            assert client.until_over(AFTER).statuses == [200]
            return client
        client.until_closed()
    with stage.frames(case.link) as other:
        other.send(after)
        assert other.until_over(AFTER).statuses == [200]
    return client


@pytest.mark.parametrize("case", cases(Case))
def test_frames_are_answered_and_passed_on_as_the_table_says(stage: Stage, case: Case) -> None:
    client = play(stage, case)
    scheme = "https" if case.link != PLAIN else "http"
    reached = stage.reached()
    *before, last = [client.stream(2 * at + 1) for at in range(len(case.sent))]
    assert [one.statuses[-1:] for one in before] == [[200]] * len(before)
    assert (last.statuses[-1:], last.reset, client.goaway) == (
        [] if case.status is None else [case.status],
        case.reset,
        case.goaway,
    )
    assert case.has in last.fields or case.has is None
    assert case.body in (None, last.body)
    lengths = [length for one in client.streams.values() for _, length in one.frames]
    assert max(lengths, default=0) <= LONGEST
    expected = [*case.reaches, forwarded("GET /after", scheme=scheme)]
    assert sorted(reached) == sorted(expected)


@pytest.mark.parametrize("case", cases(Http1Case))
def test_http1_never_becomes_http2(stage: Stage, case: Http1Case) -> None:
    with stage.connect(case.link) as link:
        link.sendall(case.sent)
        seen = answers(link, b"\r\n\r\n")
        assert re.match(rb"HTTP/1\.1 %d " % case.status, seen), seen
        if case.then:
            link.sendall(case.then)
        if case.then or b"\r\nconnection: close\r\n" in seen:
            seen += answers(link)
    reached = stage.reached()
    good = re.findall(rb"HTTP/1\.1 [123]\d\d ", seen)
    assert len(good) == len(case.reaches), seen
    assert sorted(reached) == sorted(case.reaches)


def answers(link: socket.socket, end: bytes | None = None) -> bytes:
    """What comes until these bytes have, or until the end of the connection."""
    seen = b""
    while end is None or end not in seen:
        try:
            more = link.recv(1 << 16)
        except ConnectionError:
            more = b""
        if not more:
            assert end is None, seen
            break
        seen += more
    return seen
