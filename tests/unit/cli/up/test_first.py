"""What the first start of `headgate up` asks of its new master."""

import json
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from key_server import KeyServer
from scripted_master import ScriptedMaster, installed

from headgate.cli.remote import client, contexts
from headgate.cli.remote.client import Master
from headgate.cli.remote.contexts import Context
from headgate.cli.remote.errors import MasterError
from headgate.cli.up import first

URL = "http://127.0.0.1:1"
TOKENS = {"access_token": "a", "refresh_token": "r"}
DEFAULT = "/workspaces/default"


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    one = installed(monkeypatch, tmp_path)
    answer: Callable[[httpx2.Request], httpx2.Response] = one.answer

    def post(url: str, json: object, **options: object) -> httpx2.Response:
        assert (options["verify"], options["timeout"]) == ("trust", 30.0)
        return answer(httpx2.Request("POST", url, json=json))

    def trust(cafile: Path) -> str:
        assert cafile == tmp_path / "ca.pem"
        return "trust"

    monkeypatch.setattr(ssl, "create_default_context", trust)
    monkeypatch.setattr(httpx2, "post", post)
    return one


def test_the_fleets_ca_is_written_and_a_refusal_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = 200

    def get(url: str, **options: object) -> httpx2.Response:
        assert url == f"{URL}/api/v1/enrolment/authorities"
        assert options["verify"] is False, "its CA is what is asked for"
        return httpx2.Response(status, content=b"pem", request=httpx2.Request("GET", url))

    monkeypatch.setattr(httpx2, "get", get)
    file = tmp_path / "ca.pem"
    first.keep_authority(URL, file)
    assert file.read_bytes() == b"pem"
    status = 500
    with pytest.raises(httpx2.HTTPStatusError):
        first.keep_authority(URL, tmp_path / "none.pem")
    assert not (tmp_path / "none.pem").exists()


def test_no_proxy_of_the_environment_is_asked_for_the_new_master(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", URL)
    with KeyServer(tmp_path) as server:
        url = f"https://127.0.0.1:{server.port}"
        first.keep_authority(url, tmp_path / "asked.pem")
        assert (tmp_path / "asked.pem").read_bytes() == server.body
        with pytest.raises(MasterError, match="the master answered 501"):  # it knows no POST
            first.set_up(url, "hgs_x", server.ca_file)


def test_the_caller_is_logged_in_and_a_person_invited(
    master: ScriptedMaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    master.answers = {"POST /auth/setup": TOKENS, "POST /users": {"setup_token": "hgs_y"}}
    opened_by: list[Context] = []

    class Opened:
        def __init__(self, context: Context, name: str) -> None:
            assert name == "up"
            opened_by.append(context)

        def ask(self, method: str, path: str, body: object) -> dict[str, object]:
            answer = master.answer(httpx2.Request(method, f"{URL}/api/v1{path}", json=body))
            return dict(json.loads(answer.content))

    monkeypatch.setattr(client, "Master", Opened)
    opened = first.set_up(URL, "hgs_x", tmp_path / "ca.pem")
    assert opened.link == f"{URL}/setup#hgs_y"
    (asked,) = master.bodies("POST", "/auth/setup")
    assert isinstance(asked, dict)
    assert (asked["token"], asked["name"]) == ("hgs_x", "up")
    assert len(asked["password"]) > 30
    assert master.bodies("POST", "/users") == [{"name": "admin", "role": "admin"}]
    kept = contexts.load(tmp_path / "contexts.json").contexts["up"]
    assert [kept] == opened_by
    assert (kept.access_token, kept.refresh_token, kept.workspace) == ("a", "r", "default")
    assert kept.authority == str(tmp_path / "ca.pem")


def test_a_set_up_that_is_refused_logs_nobody_in(master: ScriptedMaster, tmp_path: Path) -> None:
    master.answers = {"POST /auth/setup": 409}
    with pytest.raises(MasterError, match="answered 409"):
        first.set_up(URL, "hgs_x", tmp_path / "ca.pem")


def test_the_demo_is_written_and_published_to_a_fleet_of_its_own(master: ScriptedMaster) -> None:
    resources = ("listeners/web", "upstreams/app", "routes/all")
    master.answers = {
        **{f"PUT {DEFAULT}/resources/{path}": {} for path in resources},
        f"POST {DEFAULT}/fleets": {},
        f"POST {DEFAULT}/join-tokens": {"token": "hgj_x"},
        f"POST {DEFAULT}/revisions": {"number": 1},
    }
    one = Master(Context(URL, "access", "refresh", "default"), name="up")
    assert first.write_config(one, "127.0.0.1:8000", {"one": 9101, "two": 9102}) == "hgj_x"
    first.publish(one)
    assert [(asked.path.removeprefix(DEFAULT), asked.body) for asked in master.asked] == [
        (
            "/resources/listeners/web",
            {"spec": {"address": "127.0.0.1:8000", "default": True}},
        ),
        (
            "/resources/upstreams/app",
            {"spec": {"endpoints": ["127.0.0.1:9101", "127.0.0.1:9102"]}},
        ),
        ("/resources/routes/all", {"spec": {"upstream": "app"}}),
        ("/fleets", {"name": "local"}),
        ("/join-tokens", {"fleet": "local"}),
        ("/revisions", {"fleet": "local"}),
    ]
