"""The request of a check, and what is concluded from its answer."""

import asyncio

import loops
import pytest

from headgate.engines.nginx.checks.answer import Failure, judged, request
from headgate.plan.objects import HttpCheck

PLAIN = HttpCheck()
TEXT = HttpCheck(body="well")


def verdict(check: HttpCheck, answer: bytes, limit: int = 1024) -> Failure | None:
    """What a check concludes from an answer after which the connection ends."""

    async def run() -> Failure | None:
        reader = asyncio.StreamReader(limit=limit)
        reader.feed_data(answer)
        reader.feed_eof()
        return await judged(check, reader)

    return loops.run(run())


def test_a_request_has_the_host_and_the_headers_of_the_check() -> None:
    assert request(PLAIN, "127.0.0.1:80") == (
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\nUser-Agent: headgate-check\r\n"
        b"Connection: close\r\n\r\n"
    )
    own = HttpCheck(path="/x", method="HEAD", host="a", headers={"user-agent": "b", "X": "c"})
    assert request(own, "127.0.0.1:80") == (
        b"HEAD /x HTTP/1.1\r\nHost: a\r\nuser-agent: b\r\nX: c\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", None),
        (b"HTTP/1.0 399\r\n\r\n", None),
        (b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 204 None\r\n\r\n", None),
        (b"HTTP/1.1 400 Bad\r\n\r\n", ("check-status", "the status is 400")),
        (
            b"HTTP/1.1 100 Go on\r\n\r\n" * 17,
            ("check-protocol", "there is no end of interim answers"),
        ),
        (b"SSH-2.0-OpenSSH\r\n\r\n", ("check-protocol", None)),
        (b"HTTP/1.1 20 OK\r\n\r\n", ("check-protocol", None)),
        (b"HTTP/1.1 200 OK\r\nno header\r\n\r\n", ("check-protocol", None)),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 2000, ("check-protocol", None)),
        (b"HTTP/1.1 200 OK\r\n", ("check-lost", "the connection closed before the answer")),
        (b"", ("check-lost", "the connection closed before the answer")),
    ],
)
def test_the_head_of_an_answer_decides(
    answer: bytes, failure: tuple[str, str | None] | None
) -> None:
    found = verdict(PLAIN, answer)
    if failure is None:
        assert found is None
    else:
        assert found is not None
        assert found.reason == failure[0]
        assert failure[1] in (None, found.found)


def test_a_header_that_an_endpoint_fills_with_blanks_costs_no_more_than_its_length() -> None:
    """With steps for each way to share them, no test would end."""
    for end, reason in ((b"", None), (b"\0", "check-protocol")):
        answer = b"HTTP/1.1 200 OK\r\na:" + b"\t" * 100_000 + end + b"\r\n\r\n"
        found = verdict(PLAIN, answer, 1 << 20)
        assert (found.reason if found else None) == reason


def test_blanks_around_a_value_are_none_of_it() -> None:
    for length in (b"4", b" 4", b"\t 4 \t"):
        answer = b"HTTP/1.1 200 OK\r\nContent-Length:" + length + b"\r\n\r\nwell"
        assert verdict(TEXT, answer) is None


def chunked(*parts: bytes) -> bytes:
    """An answer in chunks."""
    body = b"".join(b"%x;a=b\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nall is well", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nall is well", ""),
        (chunked(b"all is we", b"ll, as ever") + b"0\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nwell", "check-body"),
        (b"HTTP/1.1 200 OK\r\n\r\nall is bad", "check-body"),
        (chunked(b"bad") + b"0\r\n\r\n", "check-body"),
        (b"HTTP/1.1 204 OK\r\n\r\nwell", "check-body"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 65_536 + b"well", "check-body"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nall is", "check-lost"),
        (chunked(b"bad"), "check-lost"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nwell", "check-protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nwell", "check-protocol"),
    ],
)
def test_a_text_is_looked_for_in_the_body_alone(answer: bytes, reason: str) -> None:
    found = verdict(TEXT, answer, 100_000)
    assert (found.reason if found else "") == reason
