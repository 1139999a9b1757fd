"""How a session at a master begins and is renewed, and whom the connection trusts."""

from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx2
import msgspec
import pytest
from http_server import serving_http
from key_server import KeyServer
from scripted_master import SHOP, URL, ScriptedMaster, installed
from tls_authority import Authority

from headgate.cli.remote import contexts
from headgate.cli.remote.client import Master, checked_url, introduced, log_in
from headgate.cli.remote.contexts import Context, Contexts
from headgate.cli.remote.errors import ContextError, MasterError

ANN = Context(URL, "access", "refresh")
NEW = {"access_token": "a2", "refresh_token": "r2"}


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedMaster:
    one = installed(monkeypatch, tmp_path / "home")
    one.answers = {
        "POST /auth/login": NEW,
        "POST /auth/refresh": NEW,
        "GET /auth/me": {"name": "ann"},
        "GET /workspaces": {"items": [{"name": "shop"}]},
    }
    return one


def away(_transport: object, request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("", request=request)


def test_a_login_gives_the_tokens_of_a_new_session(master: ScriptedMaster) -> None:
    assert log_in(ANN, "ann", "secret") == Context(URL, "a2", "r2")
    assert master.bodies("POST", "/auth/login") == [{"name": "ann", "password": "secret"}]
    for status in (400, 401):
        master.answers["POST /auth/login"] = status
        with pytest.raises(MasterError, match=f"^answered {status}"):
            log_in(ANN, "ann", "wrong")


def test_the_only_workspace_is_chosen_unless_one_was(master: ScriptedMaster) -> None:
    assert introduced(ANN) == ("ann", Context(URL, "access", "refresh", "shop"))
    chosen = Context(URL, "access", "refresh", "other")
    assert introduced(chosen) == ("ann", chosen)
    for names in ([], ["shop", "web"]):
        master.answers["GET /workspaces"] = {"items": [{"name": name} for name in names]}
        assert introduced(ANN) == ("ann", ANN)
    asked = [one.headers["authorization"] for one in master.asked]
    assert set(asked) == {"Bearer access"}


def test_a_session_that_cannot_be_renewed_is_not_asked_for_again(master: ScriptedMaster) -> None:
    master.answers |= {"GET /auth/me": 401, "POST /auth/refresh": 400}
    with pytest.raises(MasterError, match="log in again"):
        Master(ANN).get("/auth/me")
    assert [one.path for one in master.asked] == ["/auth/me", "/auth/refresh"]
    # A token of a program has nothing to renew.
    master.asked.clear()
    with pytest.raises(MasterError, match="log in again"):
        Master(Context(URL, "token")).get("/auth/me")
    assert [one.path for one in master.asked] == ["/auth/me"]


def test_only_a_request_without_a_valid_token_renews_it(master: ScriptedMaster) -> None:
    master.answers["GET /auth/me"] = 403
    with pytest.raises(MasterError) as refused:
        Master(ANN).get("/auth/me")
    assert (str(refused.value), refused.value.status) == ("answered 403", 403)
    assert [one.path for one in master.asked] == ["/auth/me"]


def test_tokens_of_a_context_without_a_name_are_renewed_and_not_kept(
    master: ScriptedMaster, tmp_path: Path
) -> None:
    master.answers["GET /auth/me"] = [401, {"name": "ann"}]
    before = contexts.load(tmp_path / "home" / "contexts.json")
    one = Master(ANN)
    assert one.get("/auth/me") == {"name": "ann"}
    one.get("/auth/me")
    tokens = [each.headers["authorization"] for each in master.asked if each.method == "GET"]
    assert tokens == ["Bearer access", "Bearer a2", "Bearer a2"]
    assert contexts.load(tmp_path / "home" / "contexts.json") == before


def test_renewed_tokens_are_kept_and_the_current_context_stays(
    master: ScriptedMaster, tmp_path: Path
) -> None:
    file = tmp_path / "home" / "contexts.json"
    contexts.save(file, Contexts().holding("a", ANN).holding("b", ANN))
    master.answers["GET /auth/me"] = [401, {"name": "ann"}]
    Master(ANN, name="a").get("/auth/me")
    assert contexts.load(file) == Contexts("b", {"a": Context(URL, "a2", "r2"), "b": ANN})


def test_a_master_that_goes_away_is_named_whatever_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", away)
    with pytest.raises(MasterError, match=f"^the master at {URL} does not answer: ConnectError$"):
        log_in(ANN, "ann", "secret")

    def renewing(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/refresh"):
            raise httpx2.ConnectError("gone", request=request)
        return httpx2.Response(401)

    with pytest.raises(MasterError, match="does not answer: gone") as lost:
        Master(ANN, httpx2.MockTransport(renewing)).get("/auth/me")
    assert lost.value.status == 0


def test_only_a_post_may_be_repeated_by_its_key(master: ScriptedMaster) -> None:
    one = Master(Context(URL, "token", workspace="shop"))
    paths = {method: f"{SHOP}/a" for method in ("POST", "PUT", "DELETE")}
    master.answers |= {f"{method} {path}": {} for method, path in paths.items()}
    for method, path in paths.items():
        one.ask(method, path)
    one.ask("POST", paths["POST"], headers={"idempotency-key": "own"})
    keys = [each.headers.get("idempotency-key") for each in master.asked]
    assert len(keys[0] or "") == 32
    assert keys[1:] == [None, None, "own"]


def test_a_workspace_must_be_chosen_for_what_is_in_one() -> None:
    with pytest.raises(MasterError, match="choose a workspace with `headgate context use"):
        _ = Master(ANN).workspace


def trusted(monkeypatch: pytest.MonkeyPatch, authority: str) -> object:
    """Returns what the connections of a master and of a login trust, which is the same."""
    found: list[object] = []

    class Client(httpx2.Client):
        def __init__(self, **options: object) -> None:
            found.append(options["verify"])
            super().__init__(transport=httpx2.MockTransport(lambda _: httpx2.Response(500)))

    with monkeypatch.context() as patched:
        patched.setattr(httpx2, "Client", Client)
        Master(Context(URL, "token", authority=authority))
        with pytest.raises(MasterError, match=r"^the master answered 500$"):
            log_in(Context(URL, "", authority=authority), "ann", "secret")
    first, second = found
    assert type(first) is type(second)
    return first


def test_the_authorities_of_the_system_are_trusted_unless_others_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert trusted(monkeypatch, "") is True
    authority = Authority(tmp_path)
    found = trusted(monkeypatch, str(authority.ca_file))
    (one,) = found.get_ca_certs()  # type: ignore[attr-defined]
    assert one["subject"] == ((("commonName", "test authority"),),)


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate")
    for file in (broken, tmp_path / "none.pem"):
        with pytest.raises(ContextError, match=f"certificates in {file} cannot be read: "):
            Master(Context(URL, "token", authority=str(file)))


class LoopbackMaster(BaseHTTPRequestHandler):
    """Lets everybody log in, and says who asks."""

    def do_GET(self) -> None:
        self._answer({"name": "ann"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(NEW)

    def _answer(self, body: dict[str, str]) -> None:
        content = msgspec.json.encode(body)
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def _proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies in the environment that nobody serves, for every address."""
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, URL)


@pytest.mark.usefixtures("_proxies")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_proxy_gets_the_tokens_for_a_master_of_this_host(host: str) -> None:
    with serving_http(LoopbackMaster) as port:
        context = Context(f"http://{host}:{port}", "")
        found = log_in(context, "ann", "secret")
        assert found == Context(context.url, "a2", "r2")
        assert Master(found).get("/auth/me") == {"name": "ann"}


@pytest.mark.usefixtures("_proxies")
def test_a_proxy_of_a_kind_that_is_not_known_does_not_matter_to_this_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    with serving_http(LoopbackMaster) as port:
        found = log_in(Context(f"http://127.0.0.1:{port}", ""), "ann", "secret")
    assert (found.access_token, found.refresh_token) == ("a2", "r2")


@pytest.mark.usefixtures("_proxies")
def test_a_master_of_this_host_is_verified_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with KeyServer(tmp_path) as server:
        url = f"https://127.0.0.1:{server.port}"
        named = Context(url, "token", authority=str(server.ca_file))
        assert "keys" in Master(named).get("/auth/me")
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        with pytest.raises(MasterError, match="certificate verify failed"):
            Master(Context(url, "token")).get("/auth/me")
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
        assert "keys" in Master(Context(url, "token")).get("/auth/me")


@pytest.mark.usefixtures("_proxies")
def test_the_proxy_of_the_environment_is_asked_for_a_master_elsewhere() -> None:
    context = Context("https://master.test", "")
    with pytest.raises(MasterError, match="Connection refused"):
        log_in(context, "ann", "secret")
    with pytest.raises(MasterError, match="Connection refused"):
        Master(context).get("/auth/me")


def test_authorities_of_whatever_directory_a_command_runs_in_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Authority(tmp_path).ca_file
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ContextError, match=f"^{file.name} may be another file here; log in again"):
        Master(Context(URL, "token", authority=file.name))


@pytest.mark.parametrize("text", ["http://10.0.0.1", "http://a.test", "http://localhost.test"])
def test_a_token_goes_in_the_clear_to_this_host_alone(text: str) -> None:
    with pytest.raises(ContextError, match="would carry tokens in the clear; write https://"):
        checked_url(text)
    assert checked_url("http://127.0.0.2:1//") == "http://127.0.0.2:1"


@pytest.mark.parametrize("text", ["ftp://localhost", "https://", "a.test"])
def test_an_address_needs_a_scheme_and_a_host(text: str) -> None:
    with pytest.raises(ContextError, match=r"is not an address; write https://HOST\[:PORT\]$"):
        checked_url(text)
