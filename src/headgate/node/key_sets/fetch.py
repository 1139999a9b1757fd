"""Fetches one key set, by https alone, in bounded time and memory."""

import re
import ssl
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import httpx2

from headgate.features.middleware.jwt.keys import fetched_problem
from headgate.kernel.key_sets import MOST_BYTES, KeySetUrl, url_problem
from headgate.node.key_sets.deadline import Deadline
from headgate.node.key_sets.failure import FetchError

TOTAL_S: Final = 10.0
"""The time that the whole answer may take, redirects included; a part of it half of that."""
_MOST_REDIRECTS: Final = 3
_OK: Final = 200
_MAX_AGE: Final = re.compile(r"(?:^|,)\s*max-age\s*=\s*\"?([0-9]{1,9})\"?\s*(?=,|$)", re.IGNORECASE)


class Answer(NamedTuple):
    """A key set, and how many seconds its server says that it may be used; None: it does not."""

    text: str
    max_age_s: int | None


def fetch(
    wanted: KeySetUrl,
    transport: httpx2.BaseTransport | None = None,
    clock: Callable[[], float] = time.monotonic,
    total_s: float = TOTAL_S,
) -> Answer:
    """Returns a key set that can be used. Blocks for up to `total_s` and half of that.

    Raises FetchError. `transport`: what carries requests, in tests; `clock`: seconds.
    """
    until = clock() + total_s
    deadline = Deadline(total_s)
    try:
        with (
            deadline,
            httpx2.Client(
                verify=_trust(wanted.authority),
                timeout=total_s / 2,
                trust_env=False,
                transport=transport,
                headers={"accept": "application/jwk-set+json, application/json"},
            ) as client,
        ):
            return _answer(client, wanted.url, until, clock, deadline)
    except httpx2.HTTPError as error:
        if deadline.is_over:
            raise _late(total_s) from None
        if isinstance(error, httpx2.TimeoutException):
            raise FetchError("timeout", f"no answer within {total_s / 2:g} s") from None
        raise _failed(error) from None


def max_age_s(cache_control: str) -> int | None:
    """Returns how long an answer may be used by its Cache-Control (RFC 9111 §5.2.2.1), seconds.

    >>> max_age_s("public, max-age=300"), max_age_s("no-store"), max_age_s("s-maxage=5")
    (300, None, None)
    """
    found = _MAX_AGE.search(cache_control)
    return int(found[1]) if found else None


def _trust(authority: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=authority or None)
    except ssl.SSLError as error:
        raise FetchError("tls", f"the certificates of `ca_file` cannot be read: {error}") from None


def _late(total_s: float) -> FetchError:
    return FetchError("timeout", f"no whole answer within {total_s:g} s")


def _answer(
    client: httpx2.Client,
    url: str,
    until: float,
    clock: Callable[[], float],
    deadline: Deadline,
) -> Answer:
    # Content is not decoded: what is small on the wire is small here.
    headers, extensions = {"accept-encoding": "identity"}, {"trace": deadline.note}
    request = client.build_request("GET", url, headers=headers, extensions=extensions)
    for _ in range(_MOST_REDIRECTS + 1):
        answer = client.send(request, stream=True)
        try:
            if answer.next_request is None:
                return _read(answer, until, clock)
            request = answer.next_request
        finally:
            answer.close()
        if wrong := url_problem(str(request.url)):
            raise FetchError("redirect", f"it redirects to a URL that {wrong}")
        if clock() > until:
            raise _late(TOTAL_S)
    raise FetchError("redirect", f"it redirects more than {_MOST_REDIRECTS} times")


def _read(answer: httpx2.Response, until: float, clock: Callable[[], float]) -> Answer:
    if answer.status_code != _OK:
        raise FetchError("status", f"it answers {answer.status_code}")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchError("invalid", "the answer is compressed, which was not asked for")
    content = bytearray()
    for piece in answer.iter_bytes():
        content += piece
        if len(content) > MOST_BYTES:
            raise FetchError("too_large", f"the answer has more than {MOST_BYTES >> 10} KiB")
        if clock() > until:
            raise _late(TOTAL_S)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise FetchError("invalid", "the answer is not UTF-8 text") from None
    if wrong := fetched_problem(text):
        raise FetchError("invalid", wrong)
    return Answer(text, max_age_s(answer.headers.get("cache-control", "")))


def _failed(error: httpx2.HTTPError) -> FetchError:
    """Returns the failure of a request that has no answer."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return FetchError("tls", f"the TLS handshake failed: {cause.reason or cause}")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx2.ConnectError):
        return FetchError("connect", f"no connection: {error}")
    return FetchError("invalid", f"the answer cannot be read: {error}")
