"""What a rendered nginx tells upstreams, clients, logs and its status socket: on a real one."""

import json
import re
import socket
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from echo_upstream import EchoUpstream
from nginx_engine import NginxEngine
from ports import free_ports
from tls_authority import Authority
from waiting import DEADLINE_S, until
from wire import Answer, Wire

from headgate.engines.nginx.observe import status

CONFIG = """
[node]
access_log = {{ format = "json", sink = {{ path = "{folder}/asked.log" }} }}

[listeners.web]
address = "127.0.0.1:{web}"
default = true
limits = {{ body = "10B" }}

[listeners.trusting]
address = "127.0.0.1:{trusting}"
default = true
client_ip = {{ trusted = ["127.0.0.0/8"] }}

[routes.echo]
hosts = ["a.example"]
middlewares = [{{ response_headers = {{ set = {{ x-set = "1" }}, remove = ["x-up"] }} }}]
upstream = "echo"

[routes.under]
hosts = ["a.example"]
match = [{{ path = {{ prefix = "/pp" }} }}]
middlewares = [{{ response_headers = {{ set = {{ x-set = "2" }} }} }}]
respond = {{ status = 404, body = "own" }}

[routes.gone]
hosts = ["a.example"]
match = [{{ path = {{ exact = "/gone" }} }}]
upstream = "gone"

[routes.slash]
hosts = ["a.example"]
match = [{{ path = {{ exact = "/a/slash/" }} }}]
middlewares = [{{ response_headers = {{ set = {{ x-set = "3" }} }} }}]
upstream = "echo"

[routes.own]
hosts = ["b.example"]
upstream = "gone"
[[routes.own.middlewares]]
response_headers.set = {{ strict-transport-security = "max-age=1", content-type = "a/b" }}
[[routes.own.middlewares]]
response_headers.set = {{ x-of = "${{header:x-a}}" }}
[[routes.own.middlewares]]
response_headers.add = {{ vary = "x-a" }}
[[routes.own.middlewares]]
response_headers.add = {{ vary = "x-b" }}

[routes.bare]
hosts = ["c.example"]
upstream = "gone"
middlewares = [{{ response_headers = {{ remove = ["proxy-status"] }} }}]

[routes.other]
hosts = ["d.example"]
upstream = "gone"
middlewares = [{{ response_headers = {{ set = {{ x-of = "$$other", proxy-status = "me" }} }} }}]

[upstreams.echo]
endpoints = ["{echo}"]

[upstreams.gone]
endpoints = ["127.0.0.1:{gone}"]
"""

CLAIMS = (
    "X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 6.6.6.6\r\n"
    "X-Forwarded-Host: told.example\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-Prefix: /p\r\n"
    "X-SSL-Client-Verify: SUCCESS\r\nX-Request-Id: told-id\r\nProxy-Authorization: x\r\n"
    "TE: gzip\r\n"
)


class Running:
    """The nginx of this module and its ports."""

    def __init__(self, folder: Path, echo: str) -> None:
        self.folder = folder
        self.web, self.trusting, gone = free_ports(3)
        config = folder / "headgate.toml"
        values = {"web": self.web, "trusting": self.trusting, "gone": gone}
        config.write_text(CONFIG.format(folder=folder, echo=echo, **values))
        self.engine = NginxEngine(config, folder)

    def ask(self, port: int, path: str = "/", more: str = "", host: str = "a.example") -> Answer:
        """One request."""
        with Wire(port) as wire:
            return wire.ask(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())

    def seen(self, port: int, path: str = "/", more: str = "") -> dict[str, str]:
        """The header fields that the upstream got; the request's target as `target`."""
        seen = json.loads(self.ask(port, path, more).body)
        return {**dict(seen["fields"]), "target": seen["line"].split(" ")[1]}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="hg-") as folder, EchoUpstream() as echo:
        made = Running(Path(folder), echo.address)
        with made.engine:
            yield made


def test_an_untrusted_peer_s_claims_are_deleted(running: Running) -> None:
    seen = running.seen(running.web, more=CLAIMS)
    assert seen["x-forwarded-for"] == seen["x-real-ip"] == "127.0.0.1"
    assert (seen["x-forwarded-proto"], seen["x-forwarded-host"]) == ("http", "a.example")
    assert len(seen["x-request-id"]) == 32
    gone = {"forwarded", "x-forwarded-prefix", "x-ssl-client-verify", "proxy-authorization", "te"}
    assert not gone & seen.keys()


def test_a_trusted_peer_s_claims_are_kept_and_added_to(running: Running) -> None:
    seen = running.seen(running.trusting, more=CLAIMS)
    assert seen["x-forwarded-for"] == "203.0.113.9, 192.0.2.1, 127.0.0.1"
    assert seen["x-real-ip"] == "192.0.2.1"
    assert (seen["x-forwarded-proto"], seen["x-forwarded-host"]) == ("https", "told.example")
    assert (seen["x-request-id"], seen["x-forwarded-prefix"]) == ("told-id", "/p")
    assert not {"proxy-authorization", "te"} & seen.keys()


@pytest.mark.parametrize("invented", ["127.0.0.9", "203.0.113.9"])
def test_of_several_lines_of_a_trusted_peer_the_last_one_counts(
    running: Running, invented: str
) -> None:
    lines = f"X-Forwarded-For: {invented}\r\nX-Forwarded-For: 192.0.2.1\r\n"
    assert running.seen(running.trusting, more=lines)["x-real-ip"] == "192.0.2.1"


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        ("/a%20b?x=%zz", "/a%20b?x=%zz"),
        ("/caf%c3%a9//%7Ex/./", "/caf%C3%A9/~x/"),
        ("/a%3bb/..%2fc", None),
        ("/a%3bb/%2fc", "/a%3Bb/%2Fc"),
        ("/" + "%e4" * 40, "/" + "%E4" * 40),
        ("/" + "%e4" * 41, None),
        ("/[x]|?q={}", "/%5Bx%5D%7C?q={}"),
        ("/?", "/?"),
    ],
)
def test_the_path_that_is_forwarded_is_the_normal_one(
    running: Running, sent: str, forwarded: str | None
) -> None:
    if forwarded is None:
        assert running.ask(running.web, sent).status == 400
    else:
        assert running.seen(running.web, sent)["target"] == forwarded


@pytest.mark.parametrize(
    ("path", "route"), [("/a/slash/", "3"), ("/a/slash", "1"), ("/a/slash/x", "1"), ("/a", "1")]
)
def test_an_exact_path_with_a_slash_at_its_end_takes_no_other(
    running: Running, path: str, route: str
) -> None:
    answer = running.ask(running.web, path)
    assert (answer.status, answer.header("x-set")) == (200, route)
    assert running.seen(running.web, path)["target"] == path


def test_header_edits_are_those_of_the_route_on_every_status(running: Running) -> None:
    forwarded = running.ask(running.web)
    assert (forwarded.header("x-set"), forwarded.header("x-up")) == ("1", None)
    assert forwarded.header("server") == "echo"
    own = running.ask(running.web, "/pp")
    assert (own.status, own.header("x-set"), own.body) == (404, "2", b"own")
    assert running.ask(running.web, "/pp/x").body == b"own"


@pytest.mark.parametrize(
    ("path", "host", "code", "error"),
    [
        ("/", "other.example", 404, "destination_not_found"),
        ("/gone", "a.example", 502, "connection_refused"),
    ],
)
def test_faults_say_what_happened(
    running: Running, path: str, host: str, code: int, error: str
) -> None:
    answer = running.ask(running.web, path, host=host)
    assert answer.status == code
    assert f"error={error};" in (answer.header("proxy-status") or "")
    assert answer.header("x-set") is None
    assert answer.body.startswith(str(code).encode())


def test_own_errors_have_the_response_headers_of_their_route(running: Running) -> None:
    answer = running.ask(running.web, more="X-A: 7\r\n", host="b.example")
    assert answer.status == 502
    assert answer.header("strict-transport-security") == "max-age=1"
    assert (answer.header("x-of"), answer.header("content-type")) == (
        "7",
        "text/plain; charset=utf-8",
    )
    assert sorted(value for name, value in answer.headers if name.lower() == "vary") == [
        "x-a",
        "x-b",
    ]
    assert (answer.header("proxy-status") or "").startswith("headgate; error=connection_refused")
    bare = running.ask(running.web, host="c.example")
    assert (bare.status, bare.header("proxy-status"), bare.header("x-of")) == (502, None, None)
    other = running.ask(running.web, host="d.example")
    assert (other.header("proxy-status"), other.header("x-of")) == ("me", "$other")
    assert other.header("strict-transport-security") is None


def test_a_body_over_the_limit_of_its_listener_is_refused(running: Running) -> None:
    with Wire(running.web) as wire:
        post = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 11\r\n\r\nhello world"
        assert wire.ask(post).status == 413


def test_the_status_socket_tells_generation_and_counters(running: Running) -> None:
    socket = running.engine.target.status_socket
    assert status.generation(socket).generation == 1
    assert status.generation(socket).pid is not None
    assert status.stub_status(f"unix:{socket}:/stub_status").requests > 0


NOT_OF_NGINX = {
    *("reused", "tries", "trace_id", "span_id"),
    *("client_san", "client_spiffe", "client_fingerprint"),
}


def test_both_access_logs_have_a_line_for_each_request(running: Running) -> None:
    running.ask(running.web, "/logged?x=1", 'User-Agent: a"b\r\n')
    running.ask(running.web, "/none", host="other.example")

    def lines(path: Path) -> list[dict[str, object]]:
        return [json.loads(line) for line in path.read_text().splitlines()]

    asked, metrics = running.folder / "asked.log", Path(running.engine.target.access_log)
    until(lambda: "/none" in asked.read_text() and "/none" in metrics.read_text(), "log lines")
    logged = next(line for line in lines(asked) if line["target"] == "/logged?x=1")
    assert (logged["listener"], logged["route"], logged["upstream"]) == ("web", "echo", "echo")
    assert (logged["status"], logged["reason"], logged["user_agent"]) == (200, "-", 'a"b')
    assert isinstance(logged["total_us"], int)
    assert isinstance(logged["connect_us"], int)
    assert logged.keys() == documented_keys() - NOT_OF_NGINX
    missed = next(line for line in lines(asked) if line["target"] == "/none")
    assert (missed["route"], missed["reason"], missed["connect_us"]) == ("", "no-route", None)
    assert next(line for line in lines(metrics) if line["target"] == "/none")["route"] == ""


def documented_keys() -> set[str]:
    """The keys of the native engine's lines."""
    page = Path(__file__).parents[5] / "docs" / "reference" / "access-log.md"
    return set(re.findall(r"(?m)^\| `([a-z_]+)` \| [^|]+ \| [^|]*\|$", page.read_text())) - {
        *("stdout", "file", "syslog"),
    }


TLS = """
[listeners.secure]
address = "127.0.0.1:{port}"
default = true
tls = {{ default_certificate = "main", unknown_sni = "reject" }}

[hosts."own.example"]
certificate = "own"

[hosts."staff.example"]
certificate = "own"
tls_policy = "staff"

[tls_policies.staff]
client_auth = {{ ca_file = "{ca}" }}

[routes.own]
hosts = ["own.example"]
respond = {{ body = "own" }}

[routes.staff]
hosts = ["staff.example"]
respond = {{ body = "staff" }}

[routes.rest]
respond = {{ body = "rest" }}
"""


def _tls_get(port: int, name: str | None, host: str, ca: Path) -> tuple[str, bytes]:
    """(common names of the certificate's alternatives, the whole answer)."""
    context = ssl.create_default_context(cafile=str(ca))
    context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
        context.wrap_socket(plain, server_hostname=name) as wrapped,
    ):
        found = wrapped.getpeercert() or {}
        wrapped.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while got := wrapped.recv(1 << 16):
            answer += got
        names = found.get("subjectAltName", ())
        return ",".join(str(pair[1]) for pair in names if isinstance(pair, tuple)), answer


def test_a_name_gets_its_certificate_and_an_unknown_one_none() -> None:
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        folder = Path(name)
        authority = Authority(folder)
        main = authority.issue("main", "main.example", "*.wild.example")
        own = authority.issue("own", "own.example", "staff.example")
        (port,) = free_ports(1)
        config = folder / "headgate.toml"
        text = TLS.format(port=port, ca=authority.ca_file)
        config.write_text(text + main.toml("main") + own.toml("own"))
        ca = authority.ca_file
        with NginxEngine(config, folder) as engine:
            names, answer = _tls_get(port, "own.example", "own.example", ca)
            assert names == "own.example,staff.example"
            assert answer.endswith(b"own")
            for known in ("main.example", "x.wild.example", None):
                names, answer = _tls_get(port, known, known or "any.example", ca)
                assert names.startswith("main.example")
                assert answer.endswith(b"rest")
            for unknown in ("other.example", "x.y.wild.example"):
                with pytest.raises(ssl.SSLError, match="unrecognized name"):
                    _tls_get(port, unknown, unknown, ca)
            for asked in ("staff.example", None):  # no client certificate
                _, answer = _tls_get(port, asked, "staff.example", ca)
                assert answer.startswith(b"HTTP/1.1 400")
            for asked, host in (
                ("own.example", "staff.example"),  # another policy
                ("own.example", "main.example"),  # another certificate
            ):
                _, answer = _tls_get(port, asked, host, ca)
                assert answer.startswith(b"HTTP/1.1 421"), (asked, host)
                assert b"proxy-status: headgate; error=http_request_denied" in answer
            for asked, host in (
                ("main.example", "x.wild.example"),  # the same certificate
                ("main.example", "other.example"),  # nobody's
                (None, "own.example"),
            ):
                _, answer = _tls_get(port, asked, host, ca)
                assert answer.startswith(b"HTTP/1.1 200"), (asked, host)
            served = {(one.address, one.name) for one in engine.rendered.served_names}
        address = f"127.0.0.1:{port}"
        assert {(address, "own.example"), (address, "main.example")} <= served
