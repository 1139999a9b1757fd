"""Which requests may reach the admin API."""

import loops
import pytest
from starlette.types import Message, Receive, Scope, Send

from headgate.node.admin.guard import Guard, host_is_known


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def status_of(headers: dict[str, str], names: tuple[str, ...] = ()) -> int:
    """The status of a request with these headers."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": raw}
    loops.run(Guard(_app, names)(scope, receive, send))
    status = sent[0]["status"]
    assert isinstance(status, int)
    return status


@pytest.mark.parametrize(
    "host", ["127.0.0.1:9090", "localhost", "LOCALHOST:9090", "[::1]:9090", "10.0.0.7", "headgate"]
)
def test_addresses_and_our_own_names_are_let_in(host: str) -> None:
    assert status_of({"host": host}) == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:9090", "", "[::1", "::x"])
def test_other_names_are_refused(host: str) -> None:
    assert status_of({"host": host}) == (200 if host == "[::1" else 403)


def test_a_name_can_be_allowed() -> None:
    assert status_of({"host": "Metrics.internal:9090"}, ("metrics.internal",)) == 200


def test_a_request_of_a_web_page_is_refused() -> None:
    assert status_of({"host": "127.0.0.1", "origin": "http://127.0.0.1"}) == 403


def test_a_request_without_host_is_refused() -> None:
    assert status_of({}) == 403


def test_a_bare_ipv6_address_is_an_address() -> None:
    assert host_is_known("::1", frozenset())
