"""Routes that let clients in by their certificates: who passes, what an endpoint is told, and why
others are refused.
"""

import hashlib
import socket
import ssl
from pathlib import Path

import pytest
from access_log import AccessLog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from nginx_engine import NginxEngine
from ports import free_port
from running_node import RunningNode
from tls_authority import Authority, Pair
from tls_client import trusting
from waiting import DEADLINE_S, until

BASE = """
[node]
admin = "off"
access_log = {{ format = "json", sink = {{ path = "{folder}/access.log" }} }}

[listeners.secure]
address = "127.0.0.1:{port}"
default = true
tls = {{ default_certificate = "main" }}

[tls_policies.guests]
client_auth = {{ ca_file = "{ca}", required = false }}

[hosts."a.example"]
certificate = "main"
tls_policy = "guests"

[routes.open]
hosts = ["a.example"]
respond = {{ body = "<${{client_subject}}> ${{tls_version}} ${{sni}}" }}

[routes.staff]
hosts = ["a.example"]
match = [{{ path.prefix = "/staff" }}]
middlewares = [{{ client_certificate = {{ subject = ["CN=al*", "CN=carol"] }} }}]
respond = {{ body = "staff" }}

[routes.known]
hosts = ["a.example"]
match = [{{ path.prefix = "/who", client_certificate = {{ subject = "CN=al*" }} }}]
priority = 1
respond = {{ body = "known" }}

[routes.verified]
hosts = ["a.example"]
match = [{{ path.prefix = "/who", client_certificate = {{}} }}]
respond = {{ body = "verified" }}

[routes.any]
hosts = ["a.example"]
match = [{{ path.prefix = "/any" }}]
middlewares = [{{ client_certificate = {{}} }}]
respond = {{ body = "any" }}

[routes.guests]
hosts = ["a.example"]
match = [{{ path.prefix = "/guests" }}]
middlewares = [{{ client_certificate = {{ mode = "optional", subject = "CN=alice" }} }}]
respond = {{ body = "guests" }}
"""
NATIVE = """
[routes.mesh]
hosts = ["a.example"]
match = [{{ path.prefix = "/mesh" }}]
middlewares = [{{ client_certificate = {{ san = "uri:spiffe://prod.example/ns/*/sa/web" }} }}]
respond = {{ body = "mesh" }}

[routes.shop]
hosts = ["a.example"]
match = [{{ path.prefix = "/place", client_certificate = {{ spiffe = "spiffe://prod.example/ns/*/sa/web" }} }}]
respond = {{ body = "shop" }}

[routes.one]
hosts = ["a.example"]
match = [{{ path.prefix = "/one", client_certificate = {{ fingerprint = "{print}", san = "dns:alice" }} }}]
respond = {{ body = "one" }}

[routes.pinned]
hosts = ["a.example"]
match = [{{ path.prefix = "/pinned" }}]
middlewares = [{{ client_certificate = {{ fingerprint = "{print}" }} }}]
respond = {{ body = "pinned" }}

[routes.told]
hosts = ["a.example"]
match = [{{ path.prefix = "/told" }}]
middlewares = [
    {{ fault = {{ delay = "1ms" }} }},
    {{ client_certificate = {{ mode = "optional" }} }},
    {{ request_headers.set = {{ x-who = "${{client_spiffe}}", x-names = "${{client_san}}", x-tls = "${{tls_version}} ${{sni}}" }} }},
]
upstream = "echo"

[upstreams.echo]
endpoints = ["127.0.0.1:{plain}"]

[listeners.plain]
address = "127.0.0.1:{plain}"

[routes.echo]
listeners = ["plain"]
respond = {{ body = "<${{header:x-who}}> <${{header:x-names}}> <${{header:x-tls}}> <${{header:x.who}}>" }}
"""  # noqa: E501
SPIFFE = "spiffe://prod.example/ns/shop/sa/web"


class World:
    """An authority, a server's pair, two clients and the config of them all."""

    def __init__(self, folder: Path, *, is_native: bool) -> None:
        authority = Authority(folder)
        self._ca = authority.ca_file
        self.alice = authority.issue("alice", "alice", f"uri:{SPIFFE}", "email:a@B.example")
        self.bob = authority.issue("bob", "bob", "uri:spiffe://prod.example/ns/shop/sa/db")
        self._port, plain = free_port(), free_port()
        self.log = AccessLog(folder / "access.log")
        main = authority.issue("main", "a.example")
        text = BASE + (NATIVE if is_native else "")
        values = {"folder": folder, "ca": authority.ca_file, "print": _print(self.alice)}
        self.text = text.format(port=self._port, plain=plain, **values) + main.toml("main")

    def ask(self, identity: Pair | None, path: str, *lines: str) -> tuple[int, str]:
        """The status and the body of an answer; of a refusal its second line."""
        context = trusting(self._ca, identity=identity)
        more = "".join(f"{line}\r\n" for line in lines)
        request = f"GET {path} HTTP/1.1\r\nHost: a.example\r\n{more}Connection: close\r\n\r\n"
        with (
            socket.create_connection(("127.0.0.1", self._port), DEADLINE_S) as plain,
            context.wrap_socket(plain, server_hostname="a.example") as wrapped,
        ):
            wrapped.sendall(request.encode())
            answer = b""
            while got := _received(wrapped):
                answer += got
        head, _, body = answer.decode().partition("\r\n\r\n")
        return int(head.split()[1]), body.removeprefix("403 Forbidden\n").rstrip()

    def check(self) -> None:
        """Who passes on either engine."""
        needed = (403, "a client certificate is needed here")
        refused = (403, "this client certificate may not pass here")
        assert self.ask(None, "/")[0] == 200
        assert self.ask(self.alice, "/") == (200, "<CN=alice> TLSv1.3 a.example")
        assert self.ask(None, "/any") == needed
        assert self.ask(self.bob, "/any") == (200, "any")
        assert self.ask(None, "/staff") == needed
        assert self.ask(self.alice, "/staff") == (200, "staff")
        assert self.ask(self.bob, "/staff") == refused
        assert self.ask(None, "/guests") == (200, "guests")
        assert self.ask(self.alice, "/guests") == (200, "guests")
        assert self.ask(self.bob, "/guests") == refused
        # A route that asks for a certificate is nobody's without one, whatever the headers say.
        assert self.ask(self.alice, "/who") == (200, "known")
        assert self.ask(self.bob, "/who") == (200, "verified")
        lies = ("Ssl-Client-S-Dn: CN=alice", "Client-Cert: :MA==:", "Ssl-Client-Verify: SUCCESS")
        assert self.ask(None, "/who", *lies) == self.ask(None, "/")
        for target, reason in (
            ("/any", "certificate-missing"),
            ("/staff", "certificate-missing"),
            ("/staff", "certificate-refused"),
            ("/guests", "certificate-refused"),
        ):
            self.log.line(target=target, reason=reason)


def _received(wrapped: ssl.SSLSocket) -> bytes:
    try:
        return wrapped.recv(1 << 16)
    except ssl.SSLEOFError:
        return b""


def _print(pair: Pair) -> str:
    """The SHA-256 of a certificate as openssl writes it."""
    der = x509.load_pem_x509_certificate(pair.cert_file.read_bytes()).public_bytes(Encoding.DER)
    return ":".join(f"{byte:02X}" for byte in hashlib.sha256(der).digest())


@pytest.fixture
def native(folder: Path) -> World:
    """A world that has names and fingerprints, too."""
    return World(folder, is_native=True)


def test_clients_pass_by_their_certificates(folder: Path, native: World) -> None:
    with RunningNode(folder, native.text, "--no-watch").until_ready() as node:
        native.check()
        assert native.ask(native.alice, "/mesh") == (200, "mesh")
        assert native.ask(native.bob, "/mesh")[0] == 403
        assert native.ask(native.alice, "/place") == (200, "shop")
        assert native.ask(native.bob, "/place") == native.ask(native.bob, "/")
        assert native.ask(native.alice, "/one") == (200, "one")
        assert native.ask(native.bob, "/one") == native.ask(native.bob, "/")
        assert native.ask(None, "/one") == native.ask(None, "/place") == native.ask(None, "/")
        assert native.ask(native.alice, "/pinned") == (200, "pinned")
        assert native.ask(native.bob, "/pinned")[0] == 403
        counted = 'headgate_rejects_total{reason="certificate-refused"}'
        until(lambda: node.metric(counted) == 4, "all refusals are counted")


def test_endpoints_are_told_who_asks_and_nobody_can_pretend(folder: Path, native: World) -> None:
    lies = ("X-Who: root", "x_who: root", "X.Who: root", "X-Names: dns:root")
    with RunningNode(folder, native.text, "--no-watch").until_ready():
        names = f"dns:alice,uri:{SPIFFE},email:a@b.example"
        told = f"<{SPIFFE}> <{names}> <TLSv1.3 a.example> <>"
        assert native.ask(native.alice, "/told", *lies) == (200, told)
        assert native.ask(None, "/told", *lies) == (200, "<> <> <TLSv1.3 a.example> <>")


def test_the_access_log_says_whose_certificate_it_was(folder: Path, native: World) -> None:
    with RunningNode(folder, native.text, "--no-watch").until_ready():
        assert native.ask(native.alice, "/mesh")[0] == 200
        assert native.ask(native.bob, "/any")[0] == 200
        assert native.ask(None, "/")[0] == 200
        found = {line["target"]: line for line in native.log.lines(3)}
    of_alice, of_bob, nobody = found["/mesh"], found["/any"], found["/"]
    assert of_alice["client_san"] == f"dns:alice,uri:{SPIFFE},email:a@b.example"
    assert of_alice["client_spiffe"] == SPIFFE
    assert of_alice["client_fingerprint"] == _print(native.alice).replace(":", "").lower()
    assert of_bob["client_spiffe"] == "spiffe://prod.example/ns/shop/sa/db"
    assert of_bob["client_fingerprint"] == _print(native.bob).replace(":", "").lower()
    assert not [key for key in nobody if key.startswith("client_") and key != "client_ip"]


def test_nginx_lets_clients_pass_by_their_subjects(folder: Path) -> None:
    world = World(folder, is_native=False)
    (folder / "headgate.toml").write_text(world.text)
    with NginxEngine(folder / "headgate.toml", folder):
        world.check()
