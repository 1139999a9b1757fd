"""One fetch of a key set: by https alone, bounded, and only what can be used."""

from collections.abc import Iterator

import httpx2
import pytest

from headgate.kernel.key_sets import MOST_BYTES, KeySetUrl
from headgate.node.key_sets.failure import FetchError
from headgate.node.key_sets.fetch import TOTAL_S, fetch

URL = "https://login.example/keys"
SET = '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
K = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTAxMjM"
WITH_A_PRIVATE_KEY = f'{{"keys":[{{"kty":"oct","alg":"HS256","k":"{K}"}}]}}'


class Drops(httpx2.SyncByteStream):
    """A body that comes in many small parts."""

    def __iter__(self) -> Iterator[bytes]:
        """Yields spaces for ever."""
        while True:
            yield b" "


def fetched(*answers: httpx2.Response | Exception) -> tuple[str, int | None]:
    """What comes of these answers, one after the other."""
    left = list(answers)

    def handle(request: httpx2.Request) -> httpx2.Response:
        assert request.url.scheme == "https"
        assert request.headers["accept-encoding"] == "identity"
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return fetch(KeySetUrl(URL, 1000), httpx2.MockTransport(handle))


def test_a_set_is_fetched_with_the_time_that_it_may_be_used() -> None:
    headers = {"cache-control": "public, max-age=600"}
    assert fetched(httpx2.Response(200, text=SET, headers=headers)) == (SET, 600)
    assert fetched(httpx2.Response(200, text=SET)) == (SET, None)


def test_redirects_are_followed_by_https() -> None:
    to = {"location": "https://cdn.example/keys"}
    assert fetched(httpx2.Response(302, headers=to), httpx2.Response(200, text=SET))[0] == SET


REFUSED = {
    "status": ([httpx2.Response(404)], "status"),
    "redirect to http": ([httpx2.Response(302, headers={"location": "http://a/"})], "redirect"),
    "redirect to a file": ([httpx2.Response(302, headers={"location": "file:///a"})], "redirect"),
    "redirects for ever": (
        [httpx2.Response(302, headers={"location": "https://b.example/"}) for _ in range(4)],
        "redirect",
    ),
    "too large": ([httpx2.Response(200, content=b" " * (MOST_BYTES + 1))], "too_large"),
    "endless": ([httpx2.Response(200, stream=Drops())], "too_large"),
    "compressed": (
        [httpx2.Response(200, stream=Drops(), headers={"content-encoding": "gzip"})],
        "invalid",
    ),
    "no text": ([httpx2.Response(200, content=b"\xff\xfe")], "invalid"),
    "no JSON": ([httpx2.Response(200, text="<html>")], "invalid"),
    "deep JSON": ([httpx2.Response(200, text="[" * 100_000)], "invalid"),
    "no set": ([httpx2.Response(200, text="[]")], "invalid"),
    "wrong types": ([httpx2.Response(200, text='{"keys":[7]}')], "invalid"),
    "no key": ([httpx2.Response(200, text='{"keys":[]}')], "invalid"),
    "a secret": ([httpx2.Response(200, text=WITH_A_PRIVATE_KEY)], "invalid"),
    "silence": ([httpx2.ReadTimeout("")], "timeout"),
    "nobody": ([httpx2.ConnectError("refused")], "connect"),
    "broken off": ([httpx2.RemoteProtocolError("peer closed")], "invalid"),
}


@pytest.mark.parametrize(("answers", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_by_its_reason(
    answers: list[httpx2.Response | Exception], reason: str
) -> None:
    with pytest.raises(FetchError) as found:
        fetched(*answers)
    assert found.value.reason == reason
    assert "c2VjcmV0" not in str(found.value)


def test_a_body_that_never_ends_is_given_up_in_time() -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += TOTAL_S / 4
        return now

    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=Drops()))
    with pytest.raises(FetchError) as found:
        fetch(KeySetUrl(URL, 1000), transport, clock)
    assert found.value.reason == "timeout"


def test_an_authority_that_is_none_is_a_failure_of_tls() -> None:
    with pytest.raises(FetchError) as found:
        fetch(KeySetUrl(URL, 1000, "-----BEGIN CERTIFICATE-----\nnonsense"))
    assert found.value.reason == "tls"
