"""Key sets by URL: fetched, rotated under load, kept while nobody can be asked, and missing."""

import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import pytest
from key_server import KeyServer, SigningKey, set_of
from ports import free_port
from running_node import RunningNode, get
from told import until_metrics_say, until_status_says
from waiting import DEADLINE_S, until

CONFIG = """
node.admin = "off"

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[middlewares.members.jwt]
keys = {{ url = "{url}", refresh = "{refresh}", max_stale = "{ends}", ca_file = "{ca_file}" }}

[routes.members]
match = [{{ path = {{ prefix = "/members" }} }}]
middlewares = ["members"]
respond = {{ body = "in" }}

[routes.site]
respond = {{ body = "site" }}
"""


class Answer(NamedTuple):
    """Status, body and the reason that the answer gives."""

    status: int
    body: str
    details: str


def ask(port: int, token: str) -> Answer:
    """The answer to a request with a token."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        link.request("GET", "/members", headers={"authorization": f"Bearer {token}"})
        answer = link.getresponse()
        why = re.search(r'details="([^"]*)"', answer.getheader("proxy-status", ""))
        return Answer(answer.status, answer.read().decode(), why[1] if why else "")
    finally:
        link.close()


def until_in(port: int, key: SigningKey) -> None:
    """Waits until tokens of a key pass: a config waits for its keys for three seconds only."""
    until(lambda: ask(port, key.token()).status == 200, "the keys")


@contextmanager
def serving(
    folder: Path, server: KeyServer, port: int = 0, ends: str = "off", refresh: str = "1s"
) -> Iterator[tuple[RunningNode, int]]:
    """A node whose tokens are verified by the keys of a server; `port` 0 = any.

    One that comes back has the port that it had: it is ready with its last plan.
    """
    port = port or free_port()
    text = CONFIG.format(
        port=port, url=server.url, ca_file=server.ca_file, ends=ends, refresh=refresh
    )
    with RunningNode(folder, text, "--no-watch") as node:
        yield node.until_ready(), port


def key_set(node: RunningNode) -> dict[str, object]:
    """What `GET /status` says of the one key set."""
    sets = node.status()["key_sets"]
    assert isinstance(sets, list)
    return dict(sets[0]) if sets else {}


def fetches(node: RunningNode, result: str) -> float:
    """How many fetches ended so."""
    page = node.admin("GET", "/metrics")[1].decode()
    found = re.search(rf'headgate_key_set_fetches_total{{[^}}]*result="{result}"}} (\S+)', page)
    return float(found[1]) if found else 0


class Members:
    """Requests with the tokens at hand, one after the other; `wrong` is what was not 200."""

    def __init__(self, port: int, tokens: list[str]) -> None:
        self.tokens = tokens
        self.asked = 0
        self.wrong: list[Answer] = []
        self._port = port
        self._stop = threading.Event()
        self._rounds = [0] * 3
        self._threads = [
            threading.Thread(target=self._run, args=(index,), daemon=True)
            for index in range(len(self._rounds))
        ]

    def __enter__(self) -> Self:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for one in self._threads:
            one.join()

    def until_more(self, count: int = 60) -> None:
        """Waits until there were so many requests more, and each thread has sent all tokens that
        are at hand now, and no others since."""
        goal, begun = self.asked + count, list(self._rounds)

        def is_done() -> bool:
            every = all(now >= then + 2 for now, then in zip(self._rounds, begun, strict=True))
            return every and self.asked >= goal

        until(is_done, "requests")

    def _run(self, index: int) -> None:
        while not self._stop.is_set():
            for token in self.tokens:
                answer = ask(self._port, token)
                self.asked += 1
                if answer[:2] != (200, "in"):
                    self.wrong.append(answer)
            self._rounds[index] += 1


def test_keys_rotate_under_load_without_a_wrong_answer(folder: Path) -> None:
    old, new, strange = SigningKey("old"), SigningKey("new"), SigningKey("strange")
    with KeyServer(folder, [old]) as server, serving(folder, server) as (node, port):
        until_in(port, old)
        assert ask(port, new.token()).status == 401
        with Members(port, [old.token()]) as members:
            members.until_more()
            server.body = set_of([old, new])
            until(lambda: ask(port, new.token()).status == 200, "the new key")
            until(lambda: last_reason(node) == "key set", "the end of the reload")
            members.tokens = [old.token(), new.token()]
            members.until_more()
            # The issuer signs with the new key alone, and then withdraws the old one.
            members.tokens = [new.token()]
            members.until_more(20)
            server.body = set_of([new])
            until(lambda: ask(port, old.token()).status == 401, "the end of the old key")
            members.until_more()
            assert ask(port, strange.token()).status == 401
        assert members.wrong == []


def last_reason(node: RunningNode) -> str:
    """Why the config was read last; every worker has it by then."""
    config = node.status()["config"]
    assert isinstance(config, dict)
    return str(config["last_reload"]["reason"])


def test_a_set_that_was_never_there_closes_its_routes_and_everybody_says_so(folder: Path) -> None:
    key = SigningKey("one")
    server = KeyServer(folder, [key], free_port())
    with serving(folder, server) as (node, port):
        answer = ask(port, key.token())
        assert (answer.status, answer.details) == (503, "jwt-keys-missing")
        assert "jwt-keys-missing" in answer.body
        assert get(port) == (200, b"site")
        until(lambda: fetches(node, "connect") >= 1, "a failure")
        assert key_set(node)["state"] == "missing"
        health = json.loads(node.admin("GET", "/health")[1])
        assert health["status"] == "degraded"
        assert health["key_sets"][0]["url"] == server.url
        until_status_says(node, "missing, its routes answer 503: no connection")
        explained = node.command("explain", f"http://127.0.0.1:{port}/members").stdout
        assert "answered with 503" in explained
        assert "jwt-keys-missing" in explained
        page = until_metrics_say(node, f'headgate_key_set_present{{key_set="{server.url}"}} 0')
        assert "headgate_key_set_age_seconds{" not in page
        node.until_told("key_set.failed")
        server.start()
        try:
            until(lambda: ask(port, key.token()).status == 200, "the keys")
            until(lambda: key_set(node)["state"] == "fresh", "the word for it")
        finally:
            server.stop()


def broken(server: KeyServer) -> None:
    server.body = b'{"keys":[{"kty":"RSA","n":7}]}'


def too_large(server: KeyServer) -> None:
    server.body = b" " * (256 * 1024 + 1)


def elsewhere(server: KeyServer) -> None:
    server.status, server.headers = 302, {"location": "http://127.0.0.1:1/jwks.json"}


def away(server: KeyServer) -> None:
    server.stop()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(broken, "invalid"), (too_large, "too_large"), (elsewhere, "redirect"), (away, "connect")],
)
def test_the_last_good_set_stays_also_over_a_restart(
    folder: Path, spoil: Callable[[KeyServer], None], reason: str
) -> None:
    key = SigningKey("one")
    with KeyServer(folder, [key]) as server:
        with serving(folder, server) as (node, port):
            until_in(port, key)
            spoil(server)
            until(lambda: fetches(node, reason) >= 1, reason)
            assert key_set(node)["state"] == "stale"
            assert ask(port, key.token()).status == 200
            page = until_metrics_say(node, "headgate_key_set_age_seconds{")
            age = re.search(r"headgate_key_set_age_seconds{[^}]*} (\S+)", page)
            assert age is not None
            assert float(age[1]) > 0
        with serving(folder, server, port) as (node, _):
            assert ask(port, key.token()).status == 200
            until(lambda: fetches(node, reason) >= 1, reason)
            assert ask(port, key.token()).status == 200


def test_the_last_good_set_has_an_end(folder: Path) -> None:
    key = SigningKey("one")
    with KeyServer(folder, [key]) as server:
        with serving(folder, server, ends="2s") as (node, port):
            until_in(port, key)
            server.stop()
            until(lambda: ask(port, key.token()).details == "jwt-keys-missing", "the end")
            until(lambda: key_set(node)["state"] == "missing", "the word for it")
            until_metrics_say(node, f'headgate_key_set_present{{key_set="{server.url}"}} 0')
            server.start()
            until(lambda: ask(port, key.token()).status == 200, "the keys")
        server.stop()
        (when,) = (node.state / "key-sets").glob("*.fetched")
        when.write_text("1000.0")
        with serving(folder, server, port, ends="1h"):
            # The last plan is served until the config is read.
            until(lambda: ask(port, key.token()).details == "jwt-keys-missing", "the end")


def test_a_server_of_another_authority_is_not_believed(folder: Path) -> None:
    key = SigningKey("one")
    other = folder / "other"
    other.mkdir()
    with KeyServer(folder, [key]) as server, KeyServer(other, [key]) as stranger:
        server.ca_file = stranger.ca_file
        with serving(folder, server) as (node, port):
            assert ask(port, key.token()).status == 503
            until(lambda: fetches(node, "tls") >= 1, "a failure")
            assert server.asked == 0


def test_a_set_is_asked_for_as_often_as_it_is_wanted(folder: Path) -> None:
    key = SigningKey("one")
    with KeyServer(folder, [key]) as server, serving(folder, server) as (node, port):
        until_in(port, key)
        until(lambda: server.asked >= 3, "further fetches")
        config = node.status()["config"]
        before = key_set(node)["fetched_at"]
        until(lambda: key_set(node)["fetched_at"] != before, "a younger set")
        # What is the same is no change.
        assert node.status()["config"] == config
        assert ask(port, key.token()).status == 200


def test_a_token_of_an_unknown_key_brings_the_set_early(folder: Path) -> None:
    old, new = SigningKey("old"), SigningKey("new")
    with KeyServer(folder, [old]) as server:
        with serving(folder, server, refresh="1h") as (_, port):
            until_in(port, old)
        # What an earlier process left is not asked for again before its time.
        server.body = set_of([old, new])
        asked = server.asked
        with serving(folder, server, port, refresh="1h") as (node, _):
            assert ask(port, old.token()).status == 200
            assert server.asked == asked
            assert ask(port, new.token()).status == 401
            until_in(port, new)
            assert node.until_told("jwt.unknown_key")
            assert server.asked == asked + 1
            # Within the minute nobody has the issuer asked again.
            for number in range(20):
                assert ask(port, SigningKey(f"made-{number}").token()).status == 401
            assert server.asked == asked + 1
