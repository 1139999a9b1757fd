"""Steps after a `jwt` know what the token says: endpoints, redirects, answers and limits."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest
from ports import free_port
from running_node import RunningNode
from waiting import DEADLINE_S

CONFIG = """
[node]
admin = "off"

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[middlewares.token.jwt]
keys = '{keys}'

[routes.told]
match = [{{ path.prefix = "/told" }}]
middlewares = [
    "token",
    {{ fault.delay = "1ms" }},
    {{ request_headers.set = {{ x-user = "${{jwt:sub}}", x-team = "${{jwt:team}}" }} }},
    {{ response_headers.set = {{ x-issuer = "${{jwt:iss}}" }} }},
]
upstream = "echo"

[routes.moved]
match = [{{ path.prefix = "/moved" }}]
middlewares = ["token"]
redirect = {{ path = "/users/${{jwt:sub}}", status = 302 }}

[routes.limited]
match = [{{ path.prefix = "/limited" }}]
middlewares = ["token", {{ rate_limit = {{ rate = "1/h", key = "jwt:sub" }} }}]
respond = {{ body = "in" }}

[upstreams.echo]
endpoints = ["127.0.0.1:{echo}"]

[listeners.echo]
address = "127.0.0.1:{echo}"

[routes.echo]
listeners = ["echo"]
respond = {{ body = "<${{header:x-user}}> <${{header:x-team}}>" }}
"""
KEYS = '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
SIGNED = (
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJib2"
    "IiLCJleHAiOjQxMDI0NDQ4MDB9.Lk1Mb9HjRzumMxNhf_5-G0U2D8XuSa4LSPPx_UJVWTEA0UMJlwXpAfRWyyTXKhn4"
    "-5TFFYBI5pkNr0h36WPTBw"
)
"""Of `bob`, from `https://login.example`, until the year 2099."""

SENT = {"authorization": f"Bearer {SIGNED}", "x-user": "root", "x-team": "root"}


@pytest.fixture
def link(folder: Path) -> Iterator[http.client.HTTPConnection]:
    """A connection to a node."""
    port = free_port()
    text = CONFIG.format(port=port, echo=free_port(), keys=KEYS)
    with RunningNode(folder, text, "--no-watch").until_ready():
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        yield link
        link.close()


def ask(
    link: http.client.HTTPConnection, path: str, headers: dict[str, str]
) -> tuple[int, str, http.client.HTTPMessage]:
    """The status, the body and the header of an answer."""
    link.request("GET", path, headers=headers)
    answer = link.getresponse()
    return answer.status, answer.read().decode(), answer.headers


def test_what_a_token_says_is_told_and_nobody_can_pretend(
    link: http.client.HTTPConnection,
) -> None:
    for _ in range(2):  # the second time the token is remembered
        status, body, header = ask(link, "/told", SENT)
        assert (status, body) == (200, "<bob> <>")
        assert header["x-issuer"] == "https://login.example"
        status, _, header = ask(link, "/moved", SENT)
        assert status == 302
        assert header["location"].endswith("/users/bob")
    status, _, header = ask(link, "/told", {"x-user": "root"})
    assert (status, header["x-issuer"]) == (401, None)


def test_a_limit_counts_by_a_claim(link: http.client.HTTPConnection) -> None:
    assert ask(link, "/limited", SENT)[:2] == (200, "in")
    assert ask(link, "/limited", SENT)[0] == 429
