"""What strangers tell of the client chooses nothing and is passed on nowhere: on a real nginx."""

import json
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from echo_upstream import EchoUpstream
from nginx_engine import NginxEngine, NotRenderedError, loaded_file
from ports import free_ports
from tls_authority import Authority
from tls_client import nameless, trusting
from waiting import DEADLINE_S, until
from wire import Answer, Wire

from headgate._core import is_client_claim
from headgate.compile import explanation
from headgate.compile.routing import Question, Routing
from headgate.engines.nginx.render.forwarded import CLAIMS

CONFIG = """
[listeners.web]
address = "127.0.0.1:{web}"
default = true

[listeners.trusting]
address = "127.0.0.1:{trusting}"
default = true
client_ip.header = "x-real-ip"
client_ip.trusted = ["127.0.0.0/8"]

[routes.inside]
hosts = ["a.example"]
match = [
  {{ headers = {{ x-real-ip = {{ exact = "10.0.0.1" }} }} }},
  {{ headers = {{ x-forwarded-odd = {{ present = true }} }} }},
  {{ headers = {{ ssl-client-verify = {{ prefix = "SUCC" }} }} }},
]
respond = {{ status = 418 }}

[routes.echo]
hosts = ["a.example"]
middlewares = [
  {{ response_headers.set.said = "<${{header:x-real-ip}}${{header:x-forwarded-for}}>" }},
  {{ request_headers.set = {{ x-told = "<${{header:true-client-ip}}>", x-user = "nobody" }} }},
]
upstream = "echo"

[routes.marks]
hosts = ["marks.example"]
middlewares = [
  {{ request_headers = {{ set = {{ remote_user = "nobody", x_real_ip = "said" }} }} }},
  {{ request_headers = {{ remove = ["x_role", "ssl_client_verify"] }} }},
  {{ request_headers = {{ add = {{ x-role = "guest", x_kind = "more" }} }} }},
]
upstream = "echo"

[upstreams.echo]
endpoints = ["{echo}"]
balance = {{ ring_hash = {{ key = "header:x-real-ip" }} }}
"""
NOBODY_TRUSTED = CONFIG.replace("trusted =", "trusted = [] #")

CLAIMS_SENT = (
    "X-Real-IP: 10.0.0.1\r\nX_Real_IP: 10.0.0.1\r\nX.Forwarded.For: 6.6.6.6\r\n"
    "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Odd: 6.6.6.6\r\nSSL-Client-Verify: SUCCESS\r\n"
    "True-Client-IP: 6.6.6.6\r\nCF-Connecting-IP: 6.6.6.6\r\nX_User: root\r\n"
)


@contextmanager
def running(text: str) -> Iterator[tuple[Routing, int, int]]:
    """An nginx with this config: its routes, and its two ports."""
    with tempfile.TemporaryDirectory(prefix="hg-") as folder, EchoUpstream() as echo:
        web, trusting = free_ports(2)
        file = Path(folder) / "headgate.toml"
        file.write_text(text.format(web=web, trusting=trusting, echo=echo.address))
        with NginxEngine(file, Path(folder)) as engine:
            assert engine.loaded.plan is not None
            yield Routing(engine.loaded.plan), web, trusting


def ask(port: int, more: str) -> Answer:
    with Wire(port) as wire:
        return wire.ask(f"GET / HTTP/1.1\r\nHost: a.example\r\n{more}\r\n".encode())


@pytest.mark.parametrize("text", [CONFIG, NOBODY_TRUSTED], ids=["some trusted", "nobody trusted"])
def test_what_a_stranger_claims_chooses_no_route_and_is_said_nowhere(text: str) -> None:
    with running(text) as (routing, web, _):
        answer = ask(web, CLAIMS_SENT)
        assert (answer.status, answer.header("said")) == (200, "<>")
        seen = answer.body.decode().replace('["x-forwarded-odd", "6.6.6.6"]', "")
        assert not [word for word in ("10.0.0.1", "6.6.6.6", "SUCCESS", "root") if word in seen]
        fields = dict(json.loads(answer.body)["fields"])
        assert (fields["x-told"], fields["x-user"]) == ("<>", "nobody")
        lines: dict[str, str | list[str]] = {}
        lines |= {name: value for name, _, value in map(_parted, CLAIMS_SENT.splitlines())}
        asked = Question(f"http://a.example:{web}/", headers=lines, listener="web")
        said = explanation.explain(routing, routing.request(asked), lambda *_: "")
        assert said.won is not None
        assert said.won.route == "echo"


def _parted(line: str) -> tuple[str, str, str]:
    return line.partition(": ")


def test_a_trusted_peer_is_believed() -> None:
    with running(CONFIG) as (_, _, trusting):
        assert ask(trusting, "X-Real-IP: 10.0.0.1\r\n").status == 418
        assert ask(trusting, "SSL-Client-Verify: SUCCESS\r\n").status == 418
        answer = ask(trusting, "X-Real-IP: 192.0.2.1\r\nTrue-Client-IP: 192.0.2.1\r\n")
        assert answer.header("said") == "<192.0.2.1>"
        assert dict(json.loads(answer.body)["fields"])["x-told"] == "<192.0.2.1>"


def test_a_name_with_an_underscore_cannot_be_forged_with_hyphens() -> None:
    sent = "Remote-User: root\r\nX-Role: root\r\nSSL-Client-Verify: root\r\nX-Kind: sent\r\n"
    request = f"GET / HTTP/1.1\r\nHost: marks.example\r\n{sent}\r\n".encode()
    with running(CONFIG) as (_, _, trusting), Wire(trusting) as wire:
        fields = json.loads(wire.ask(request).body)["fields"]
        assert not [value for _, value in fields if value == "root"]
        ours = {"remote_user", "x_real_ip", "x-real-ip", "x-role", "x-kind", "x_kind"}
        assert sorted((name, value) for name, value in fields if name in ours) == [
            ("remote_user", "nobody"),
            ("x-kind", "sent"),
            ("x-real-ip", "127.0.0.1"),
            ("x-role", "guest"),
            ("x_kind", "more"),
            ("x_real_ip", "said"),
        ]


def test_what_nginx_removes_are_claims_to_the_core_too() -> None:
    assert [name for name in CLAIMS if not is_client_claim(name)] == []


def test_names_with_an_underscore_cannot_be_kept(tmp_path: Path) -> None:
    text = '[listeners.web]\naddress = "127.0.0.1:1"\nunderscores_in_headers = true\n'
    (tmp_path / "headgate.toml").write_text(text)
    assert loaded_file(tmp_path / "headgate.toml").plan is not None
    with pytest.raises(NotRenderedError, match="listener web: underscores_in_headers: nginx"):
        NginxEngine(tmp_path / "headgate.toml", tmp_path)


NAMED = """
[node]
access_log = {{ format = "json", sink = {{ path = "{folder}/asked.log" }} }}

[listeners.secure]
address = "127.0.0.1:{port}"
default = true
tls = {{ default_certificate = "own", unknown_sni = "default" }}

[routes.moved]
match = [{{ path = {{ exact = "/moved" }} }}]
redirect = {{ path = "/", status = 302 }}
middlewares = [{{ response_headers.set.said = "<${{sni}}>" }}]

[routes.echo]
middlewares = [{{ request_headers.set = {{ x-tls = "${{tls_version}} <${{sni}}>" }} }}]
upstream = "echo"

[upstreams.echo]
endpoints = ["{echo}"]
"""
NO_NAMES = [
    *(b"x\r\nx-evil: 1", b"x\nx-evil: 1", b"x\rx-evil: 1", b"a.example\n", b"a\tb", b"a b"),
    *(b"x\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n", b"a..b", b"a:1", b"$host"),
]


def test_a_name_of_the_handshake_is_told_if_it_is_one() -> None:
    with tempfile.TemporaryDirectory(prefix="hg-") as name, EchoUpstream() as echo:
        folder = Path(name)
        authority = Authority(folder)
        (port,) = free_ports(1)
        file = folder / "headgate.toml"
        text = NAMED.format(port=port, echo=echo.address, folder=folder)
        file.write_text(text + authority.issue("own", "a.example").toml("own"))
        context = nameless(trusting(authority.ca_file))
        with NginxEngine(file, folder):
            for sent, told in [
                (b"a.example", "a.example"),
                (b"_x-1.Example.", "_x-1.Example."),
                *((sent, "") for sent in NO_NAMES),
            ]:
                said = _over_tls(port, context, sent, "/moved")
                assert f"\r\nsaid: <{told}>\r\n" in said, sent
                seen = json.loads(_over_tls(port, context, sent, "/").partition("\r\n\r\n")[2])
                assert dict(seen["fields"])["x-tls"] == f"TLSv1.3 <{told}>", sent
                assert "evil" not in said + str(seen)
            client = ("openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}")
            named = (*client, "-servername", b"x\xff.example")
            head = b"GET /moved HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
            said = subprocess.check_output(named, input=head, stderr=subprocess.DEVNULL).decode()
            assert "\r\nsaid: <>\r\n" in said
            log, count = folder / "asked.log", 2 * (2 + len(NO_NAMES)) + 1
            until(lambda: log.exists() and log.read_bytes().count(b"\n") == count, "log lines")
        logged = [json.loads(line)["sni"] for line in log.read_text().splitlines()]
        assert {"a.example", "x\r\nx-evil: 1", "x\ufffd"} <= set(logged)


def _over_tls(port: int, context: ssl.SSLContext, sni: bytes, path: str) -> str:
    """The answer to a request after a handshake with that name."""
    answer = b""
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
        # Text would be checked; bytes go as they are.
        context.wrap_socket(plain, server_hostname=sni) as wrapped,
    ):
        head = f"GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
        wrapped.sendall(head.encode())
        while got := wrapped.recv(1 << 16):
            answer += got
    return answer.decode()
