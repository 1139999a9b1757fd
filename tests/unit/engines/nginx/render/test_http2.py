"""HTTP/2 towards clients: how each kind of nginx says it, and a real one that speaks it."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from echo_upstream import EchoUpstream
from http2_wire import ask
from nginx_engine import (
    NginxEngine,
    NotRenderedError,
    capabilities,
    expressed,
    loaded_file,
    target,
)
from ports import free_ports
from tls_authority import Authority
from waiting import DEADLINE_S

from headgate.engines.nginx.common.types import Capabilities, Mode

OLDEST = frozenset({"ssl", "ssl_reject_handshake", "http2_listen"})
OLD = OLDEST | {"keepalive_time_client"}
NEW = OLD | {"http2_directive"}
NONE = frozenset({"ssl", "ssl_reject_handshake", "keepalive_time_client"})

CONFIG = """
[listeners.plain]
address = "127.0.0.1:{plain}"
default = true
{h2c}

[listeners.secure]
address = "127.0.0.1:{secure}"
default = true
tls = {{ default_certificate = "a", unknown_sni = "default", policy = "p" }}

[hosts."a.example"]
{host}

[tls_policies.p]
{alpn}

[routes.echo]
hosts = ["a.example", "*"]
upstream = "echo"

[upstreams.echo]
endpoints = ["{echo}"]
"""


class Case:
    """A config with a certificate, and what becomes of it on an nginx with these abilities."""

    def __init__(
        self, folder: Path, *, alpn: str = "", h2c: str = "", host: str = "", more: str = ""
    ) -> None:
        pair = Authority(folder).issue("a", "a.example")
        echo = "127.0.0.1:3"
        text = CONFIG.format(plain=1, secure=2, h2c=h2c, alpn=alpn, host=host, echo=echo)
        self.file = folder / "c.toml"
        self.file.write_text(text + more + pair.toml("a"))

    def on(self, accepted: frozenset[str], mode: Mode = "full") -> tuple[str, tuple[str, ...]]:
        """The servers' text, without their routes, and the notes."""
        able = Capabilities(binary_digest="", build="", version="", accepted=accepted)
        made = expressed(loaded_file(self.file), target("/s", able, mode=mode))
        files = (f.content.decode() for f in made.files if f.path.startswith("http/"))
        return "".join(files), made.notes

    def refused(self, accepted: frozenset[str], mode: Mode = "full") -> dict[str, str]:
        """What is refused, by its path."""
        with pytest.raises(NotRenderedError) as caught:
            self.on(accepted, mode)
        return {f"{f.kind} {f.name}: {f.path}": f.message for f in caught.value.found}


def listens(text: str) -> list[str]:
    """Each server's `listen` lines and `http2` line, one server a text."""
    found = []
    for block in re.split(r"^server {$", text, flags=re.M)[1:]:
        line = r"^    (?:listen \S+:(\d)( ssl)?( http2)?[ ;]|(http2 \w+);)"
        lines = re.findall(line, block, re.M)
        found.append(" ".join("".join(one) for one in lines))
    return found


def test_an_older_nginx_says_it_of_each_address_with_tls(tmp_path: Path) -> None:
    text, notes = Case(tmp_path).on(OLD)
    assert listens(text) == ["1 2 ssl http2", "1 2 ssl http2"]
    assert not [note for note in notes if "alpn" in note]


def test_a_newer_nginx_says_it_of_servers_and_never_of_a_plain_address(tmp_path: Path) -> None:
    text, _ = Case(tmp_path).on(NEW)
    # The default server of the plain address is one of its own: its line would count there.
    assert sorted(listens(text)) == ["1", "1 2 ssl http2 on", "2 ssl http2 on"]


def test_h2c_is_the_default_server_s_line(tmp_path: Path) -> None:
    text, _ = Case(tmp_path, h2c="h2c = true", alpn='alpn = ["http/1.1"]').on(NEW)
    # Not in the server of a name, where it would be offered by ALPN.
    assert sorted(listens(text)) == ["1 2 ssl", "1 http2 on", "2 ssl"]


def test_h2c_is_refused_where_http1_would_stop(tmp_path: Path) -> None:
    case = Case(tmp_path, h2c="h2c = true")
    about_plain = "listener plain: h2c"
    assert "nothing but HTTP/2" in case.refused(OLD)[about_plain]
    assert case.refused(NONE) == {about_plain: "this nginx has no HTTP/2"}


@pytest.mark.parametrize("accepted", [NONE, OLDEST], ids=["without", "oldest"])
def test_an_nginx_without_http2_serves_the_default_and_says_so(
    tmp_path: Path, accepted: frozenset[str]
) -> None:
    text, notes = Case(tmp_path).on(accepted)
    assert "http2" not in text
    said = "tls_policy p: alpn: clients get HTTP/1.1: this nginx has no HTTP/2"
    assert said in notes


def test_an_nginx_without_http2_refuses_one_that_is_asked_for(tmp_path: Path) -> None:
    refused = Case(tmp_path, alpn='alpn = ["h2", "http/1.1"]').refused(NONE)
    assert refused["tls_policy p: alpn"].startswith("this nginx has no HTTP/2; write")


@pytest.mark.parametrize("alpn", ['["h2"]', '["http/1.1", "h2"]'])
def test_what_nginx_would_offer_otherwise_is_refused(tmp_path: Path, alpn: str) -> None:
    refused = Case(tmp_path, alpn=f"alpn = {alpn}").refused(NEW)
    assert refused["tls_policy p: alpn"].startswith("beside h2 nginx always offers http/1.1")


def test_names_of_one_listener_agree_about_it(tmp_path: Path) -> None:
    said = '[tls_policies.q]\nalpn = ["h2", "http/1.1"]\n'
    case = Case(tmp_path, host='tls_policy = "q"', more=said)
    assert all("2 ssl http2" in one for one in listens(case.on(OLD)[0]))
    other = Case(tmp_path, host='tls_policy = "q"', more='[tls_policies.q]\nalpn = ["http/1.1"]\n')
    assert other.refused(OLD) == {
        "tls_policy q: alpn": "nginx has one alpn for all names of listener secure"
    }


def test_as_a_guest_no_server_of_others_gets_it(tmp_path: Path) -> None:
    text, notes = Case(tmp_path).on(OLD, "guest")
    assert not re.search(r"\bhttp2\b", text)
    assert [note for note in notes if "for every server of the address" in note]
    asked = Case(tmp_path, alpn='alpn = ["h2", "http/1.1"]')
    assert "tls_policy p: alpn" in asked.refused(OLD, "guest")
    # Where it is said of servers, ours say it themselves, whatever the `http` around them says.
    assert sorted(listens(Case(tmp_path).on(NEW, "guest")[0])) == [
        "1 2 ssl http2 on",
        "1 http2 off",
        "2 ssl http2 on",
    ]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets in it."""
    with tempfile.TemporaryDirectory(prefix="hg-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


class Real:
    """A real nginx, asked by curl over HTTP/2."""

    def __init__(self, folder: Path, echo: str, *, h2c: str = "", alpn: str = "") -> None:
        self.authority = Authority(folder)
        pair = self.authority.issue("a", "a.example")
        self.plain, self.secure = free_ports(2)
        text = CONFIG.format(
            plain=self.plain, secure=self.secure, h2c=h2c, alpn=alpn, host="", echo=echo
        )
        config = folder / "c.toml"
        config.write_text(text + pair.toml("a"))
        self.nginx = NginxEngine(config, folder / "n")

    def curl(self, *options: str, name: str = "a.example") -> list[str]:
        """Version, status and body of the answer."""
        known = ("--cacert", str(self.authority.ca_file))
        resolve = ("--resolve", f"{name}:{self.secure}:127.0.0.1")
        return curl(*known, *resolve, *options, f"https://{name}:{self.secure}/x")


def curl(*options: str) -> list[str]:
    """Version, status and body of the answer that curl gets; the code of its failure."""
    written = "\n%{http_version} %{http_code}\n"
    command = ["curl", "--silent", "--write-out", written, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    if done.returncode:
        return [f"curl ended with {done.returncode}"]
    return done.stdout.splitlines()


@pytest.fixture
def echo() -> Iterator[EchoUpstream]:
    """An upstream that answers with the request it got."""
    with EchoUpstream() as upstream:
        yield upstream


def test_a_client_gets_http2_by_alpn(folder: Path, echo: EchoUpstream) -> None:
    (folder / "n").mkdir()
    real = Real(folder, echo.address)
    with real.nginx:
        echoed, last = real.curl("--http2")
        assert last == "2 200"
        assert dict(fields(echoed))["host"] == f"a.example:{real.secure}"
        assert real.curl("--http1.1")[-1] == "1.1 200"


def test_a_client_gets_http1_where_the_policy_says_so(folder: Path, echo: EchoUpstream) -> None:
    (folder / "n").mkdir()
    real = Real(folder, echo.address, alpn='alpn = ["http/1.1"]')
    with real.nginx:
        assert real.curl("--http2")[-1] == "1.1 200"


def test_an_upgrade_over_http2_opens_no_tunnel(folder: Path, echo: EchoUpstream) -> None:
    (folder / "n").mkdir()
    real = Real(folder, echo.address)
    handshake = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    options = [word for name, value in handshake for word in ("-H", f"{name}: {value}")]
    with real.nginx:
        assert ["upgrade", "websocket"] in fields(real.curl("--http1.1", *options)[0])
        over_http2 = ask(real.secure, "a.example", real.authority.ca_file, handshake)
        assert "upgrade" not in dict(fields(over_http2))


def fields(echoed: str | bytes) -> list[list[str]]:
    """The header lines that the upstream got."""
    found = json.loads(echoed)["fields"]
    assert isinstance(found, list)
    return found


def test_h2c_is_served_beside_http1_or_refused(folder: Path, echo: EchoUpstream) -> None:
    (folder / "n").mkdir()
    if not capabilities().has("http2_directive"):
        with pytest.raises(NotRenderedError, match="h2c: this nginx would take nothing but"):
            Real(folder, echo.address, h2c="h2c = true")
        return
    real = Real(folder, echo.address, h2c="h2c = true")
    url = f"http://127.0.0.1:{real.plain}/x"
    with real.nginx:
        assert curl("--http2-prior-knowledge", url)[-1] == "2 200"
        assert curl(url)[-1] == "1.1 200"


LIMITS = "[listeners.secure.http2]\n"


def test_streams_of_a_listener_are_its_servers(tmp_path: Path) -> None:
    line = "http2_max_concurrent_streams 32;"
    for accepted in (OLD, NEW):
        text, _ = Case(tmp_path, more=LIMITS + "streams = 32\n").on(accepted)
        (plain, *secure) = re.split(r"^server {$", text, flags=re.M)[1:]
        held = [line in one for one in (plain, *secure)]
        assert held == ["ssl" in one.partition(";")[0] for one in (plain, *secure)], text
        assert line not in Case(tmp_path).on(accepted)[0]
    assert "http2" not in Case(tmp_path, more=LIMITS + "streams = 32\n").on(NONE)[0]


OTHER = """
[listeners.{name}]
address = "127.0.0.1:4"
default = true
tls = {{ default_certificate = "a", unknown_sni = "default", policy = "p" }}
"""


@pytest.mark.parametrize("name", ["a-first", "z-last"])
def test_listeners_with_streams_of_their_own_share_no_server(tmp_path: Path, name: str) -> None:
    more = LIMITS + "streams = 32\n" + OTHER.format(name=name)
    text, _ = Case(tmp_path, more=more).on(NEW)
    servers = [one for one in re.split(r"^server {$", text, flags=re.M)[1:] if " ssl" in one]
    assert any("127.0.0.1:4" in one for one in servers)
    for one in servers:
        assert ("127.0.0.1:2" in one) != ("127.0.0.1:4" in one)
        assert ("http2_max_concurrent_streams 32;" in one) == ("127.0.0.1:2" in one)


@pytest.mark.parametrize("accepted", [NONE, NEW])
def test_listeners_share_servers_where_their_streams_are_the_same_there(
    tmp_path: Path, accepted: frozenset[str]
) -> None:
    own = LIMITS + "streams = 32\n" if accepted == NONE else ""
    text, _ = Case(tmp_path, more=own + OTHER.format(name="z-last")).on(accepted)
    servers = [one for one in re.split(r"^server {$", text, flags=re.M)[1:] if " ssl" in one]
    assert servers
    assert all("127.0.0.1:2" in one and "127.0.0.1:4" in one for one in servers)


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("dispatched = 10", "dispatched"),
        ("bodies = 10", "bodies"),
        ('header_list = "64KiB"', "header_list"),
        ("continuations = 2", "continuations"),
        ('windows = { initial = "32KiB" }', "windows"),
        ("output = { control_frames = 10 }", "output"),
        ("budgets = { pings = 10 }", "budgets"),
        ('timeouts = { ping_after = "10s" }', "timeouts"),
    ],
)
def test_limits_that_nginx_does_not_have_are_refused(
    tmp_path: Path, written: str, path: str
) -> None:
    refused = Case(tmp_path, more=LIMITS + written + "\n").refused(NEW)
    assert refused == {
        f"listener secure: http2.{path}": "nginx has a rule of its own for it; leave it out"
    }
