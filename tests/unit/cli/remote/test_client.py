"""Requests to a master."""

import fcntl
import json
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from headgate.cli.remote import contexts
from headgate.cli.remote.client import Master, checked_url
from headgate.cli.remote.contexts import Context, Contexts
from headgate.cli.remote.errors import ContextError, MasterError

Handler = Callable[[httpx2.Request], httpx2.Response]


def _master(handler: Handler, refresh: str = "", name: str = "") -> Master:
    context = Context("http://127.0.0.1:1", "old", refresh, "shop")
    return Master(context, httpx2.MockTransport(handler), name)


def test_a_list_is_read_to_its_end() -> None:
    asked: list[tuple[str, str]] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        cursor = request.url.params.get("cursor")
        asked.append((request.url.params["limit"], request.url.params["x"]))
        assert len(asked) <= 2
        assert request.headers["authorization"] == "Bearer old"
        return httpx2.Response(
            200,
            json={
                "items": [{"name": f"after {cursor}"}],
                "next": None if cursor else "c2",
            },
        )

    names = [item["name"] for item in _master(handler).all("/tokens", x=1)]
    assert names == ["after None", "after c2"]
    assert asked == [("500", "1")] * 2


def test_an_expired_token_is_renewed_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADGATE_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "contexts.json"
    contexts.save(file, Contexts().holding("a", Context("http://127.0.0.1:1", "old", "r1")))

    def handler(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/auth/refresh"):
            assert json.loads(request.content) == {"refresh_token": "r1"}
            return httpx2.Response(200, json={"access_token": "new", "refresh_token": "r2"})
        is_new = request.headers["authorization"] == "Bearer new"
        return httpx2.Response(200 if is_new else 401, json={"name": "ann"})

    assert _master(handler, "r1", "a").get("/auth/me")["name"] == "ann"
    kept = contexts.load(file).named("a")
    assert (kept.access_token, kept.refresh_token) == ("new", "r2")


class OneSession:
    """A master whose session ends if a refresh token comes twice, as a real one's does."""

    def __init__(self, lock: Path) -> None:
        self.access, self.refresh, self.given = "old", "r1", 1
        self._lock = lock

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if not request.url.path.endswith("/auth/refresh"):
            is_valid = request.headers["authorization"] == f"Bearer {self.access}"
            return httpx2.Response(200 if is_valid else 401, json={"name": "ann"})
        with self._lock.open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if json.loads(request.content)["refresh_token"] != self.refresh:
            self.access = self.refresh = "none"
            return httpx2.Response(401, json={})
        self.given += 1
        self.access, self.refresh = f"a{self.given}", f"r{self.given}"
        tokens = {"access_token": self.access, "refresh_token": self.refresh}
        return httpx2.Response(200, json=tokens)

    def expire(self) -> None:
        self.access = "none"


def test_commands_at_the_same_time_renew_their_tokens_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADGATE_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "contexts.json"
    contexts.save(file, Contexts().holding("a", Context("http://127.0.0.1:1", "old", "r1")))
    session = OneSession(tmp_path / contexts.LOCK)
    first, second = (_master(session, "r1", "a") for _ in range(2))
    session.expire()
    for one in (first, second):
        assert one.get("/auth/me") == {"name": "ann"}
    assert session.given == 2
    session.expire()
    assert second.get("/auth/me") == {"name": "ann"}
    session.expire()  # what the first command finds in the file has expired, too
    assert first.get("/auth/me") == {"name": "ann"}
    assert contexts.load(file).named("a").refresh_token == session.refresh
    assert session.given == 4


def test_renewed_tokens_are_those_of_the_same_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADGATE_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "contexts.json"
    asked: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        return httpx2.Response(401, json={})

    known = Contexts().holding("b", Context("http://127.0.0.1:2", "of another", "master"))
    # It was removed by `headgate logout`, or leads elsewhere since a `headgate login`.
    for others in (known, known.holding("a", known.named("b"))):
        contexts.save(file, others)
        with pytest.raises(MasterError, match="log in again"):
            _master(handler, "r1", "a").get("/auth/me")
        assert contexts.load(file) == others
    assert asked == ["/api/v1/auth/me"] * 2


def test_a_workspace_that_was_chosen_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADGATE_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "contexts.json"
    chosen = Context("http://127.0.0.1:1", "old", "r1", "web")
    contexts.save(file, Contexts().holding("a", chosen))
    session = OneSession(tmp_path / contexts.LOCK)
    session.expire()
    one = _master(session, "r1", "a")
    one.get("/auth/me")
    assert one.workspace == "shop"
    assert contexts.load(file).named("a") == Context(chosen.url, "a2", "r2", "web")


def test_a_repeat_after_a_renewal_has_the_same_idempotency_key() -> None:
    keys = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/auth/refresh"):
            return httpx2.Response(200, json={"access_token": "new", "refresh_token": "r2"})
        keys.append(request.headers["idempotency-key"])
        return httpx2.Response(401 if len(keys) == 1 else 201, json={})

    _master(handler, "r1").ask("POST", "/tokens", {"name": "x"})
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_a_problem_says_where_and_what_to_write() -> None:
    def handler(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(
            422,
            json={
                "title": "Invalid",
                "detail": "the body is not valid",
                "errors": [{"path": "$.name", "detail": "too long", "allowed": "write 63 letters"}],
            },
        )

    with pytest.raises(MasterError, match=r"\$\.name: too long; write 63 letters") as refused:
        _master(handler).ask("POST", "/tokens", {})
    assert refused.value.status == 422


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"x"'])
def test_what_is_no_master_is_named_so(body: bytes) -> None:
    with pytest.raises(MasterError, match="this is not a master"):
        _master(lambda _request: httpx2.Response(200, content=body)).get("/auth/me")


@pytest.mark.parametrize("body", [b"<html>", b""])
def test_a_refusal_says_its_status_where_it_says_no_more(body: bytes) -> None:
    with pytest.raises(MasterError, match=r"^the master answered 502$") as refused:
        _master(lambda _request: httpx2.Response(502, content=body)).get("/auth/me")
    assert refused.value.status == 502


def test_an_answer_may_be_empty_or_have_a_version() -> None:
    assert _master(lambda _request: httpx2.Response(200)).get("/a") == {}
    assert _master(lambda _request: httpx2.Response(204)).get("/a") == {}
    one = _master(lambda _request: httpx2.Response(200, json={"a": 1}, headers={"etag": '"3"'}))
    assert one.get("/a") == {"a": 1, "etag": '"3"'}


def test_a_master_that_does_not_answer_is_named() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("connection refused", request=request)

    with pytest.raises(MasterError, match=r"127\.0\.0\.1:1 does not answer: connection refused"):
        _master(handler).get("/auth/me")


def test_tokens_never_go_in_the_clear() -> None:
    assert checked_url("http://localhost:8080") == "http://localhost:8080"
    assert checked_url("http://[::1]:8080/") == "http://[::1]:8080"
    assert checked_url("https://m.test") == "https://m.test"
    for text in ("http://m.test", "ftp://m.test", "m.test", "http://"):
        with pytest.raises(ContextError):
            checked_url(text)


def test_a_body_is_sent_as_json_and_every_status_from_400_on_is_a_refusal() -> None:
    asked: list[httpx2.Request] = []
    status = 399

    def handler(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(status, json={"title": "no"})

    master = _master(handler)
    assert master.ask("PUT", "/a", {"b": 1}, query={"c": "d"}) == {"title": "no"}
    master.get("/a")
    assert [one.headers.get("content-type") for one in asked] == ["application/json", None]
    assert [str(one.url.query, "ascii") for one in asked] == ["c=d", ""]
    status = 400
    with pytest.raises(MasterError, match=r"^no$"):
        master.get("/a")
    status = 401
    with pytest.raises(MasterError, match=r"^no\nlog in again with `headgate login`$"):
        master.get("/a")


def test_what_is_not_an_address_is_refused_as_such() -> None:
    with pytest.raises(ContextError, match='"https://a:b" is not an address: '):
        checked_url("https://a:b")
