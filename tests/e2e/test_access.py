"""Who may pass: by address, key, password or token, over HTTP/1 and HTTP/2, WebSockets too."""

import json
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from http_server import serving_http
from joserfc import jwt
from joserfc.jwk import ECKey
from nginx_engine import NginxEngine, NotRenderedError
from peers import peer
from ports import free_port
from running_node import RunningNode
from waiting import DEADLINE_S

LISTENER = """
[listeners.web]
address = "127.0.0.1:{port}"
default = true
client_ip = {{ trusted = ["127.0.0.0/8"] }}
{more}
"""
OFFICE = """
[middlewares.office]
ip_access = { allow = ["192.0.2.0/24", "2001:db8::/32"], deny = ["192.0.2.128/25"] }

[routes.office]
match = [{ path = { prefix = "/office" } }]
middlewares = ["office"]
respond = { body = "in" }

[routes.guests]
match = [{ path = { prefix = "/guests" } }]
middlewares = [{ ip_access = { deny = ["192.0.2.7", "::ffff:198.51.100.0/120"] } }]
respond = { body = "in" }

[routes.chain]
match = [{ path = { prefix = "/chain" } }]
middlewares = ["office", { redirect = { path = "/elsewhere", status = 302 } }]
respond = { body = "in" }
"""
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def ask(port: int, path: str, client: str, lines: str = "") -> tuple[int, str]:
    """Status and body of an answer over HTTP/1.1."""
    request = f"GET {path} HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: {client}\r\n{lines}"
    if "Connection:" not in lines:
        request += "Connection: close\r\n"
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as link:
        link.sendall(f"{request}\r\n".encode())
        link.shutdown(socket.SHUT_WR)
        answer = b""
        while got := link.recv(1 << 16):
            answer += got
    head, _, body = answer.decode().partition("\r\n\r\n")
    return int(head.split(" ")[1]), body


def ask_http2(port: int, path: str, client: str) -> int:
    """Status of an answer over HTTP/2 without TLS."""
    words = [str(peer("curl")), "-s", "-o", "/dev/null", "--http2-prior-knowledge", "-w"]
    words += ["%{http_version} %{response_code}", "-H", f"X-Forwarded-For: {client}"]
    url = f"http://127.0.0.1:{port}{path}"
    done = subprocess.run(
        [*words, url], capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    version, status = done.stdout.split()
    assert version == "2"
    return int(status)


@contextmanager
def serving(engine: str, folder: Path, text: str, more: str = "") -> Iterator[int]:
    """The port of a node, or of an nginx, that serves a config."""
    port = free_port()
    text = LISTENER.format(port=port, more=more) + text
    if engine == "native":
        with RunningNode(folder, f'node.admin = "off"\n{text}', "--no-watch") as node:
            node.until_ready()
            yield port
    else:
        (folder / "headgate.toml").write_text(text)
        with NginxEngine(folder / "headgate.toml", folder):
            yield port


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_clients_pass_by_their_address(folder: Path, engine: str) -> None:
    with serving(engine, folder, OFFICE) as port:
        for client in ("192.0.2.1", "2001:db8::7"):
            assert ask(port, "/office", client) == (200, "in")
        refused = (403, "403 Forbidden\nthis address may not pass here\n")
        for client in ("192.0.2.200", "198.51.100.1", "2001:db9::1"):
            assert ask(port, "/office", client) == refused
            assert ask(port, "/office", client, UPGRADE) == refused
        for client, status in (("192.0.2.7", 403), ("198.51.100.9", 403), ("192.0.2.8", 200)):
            assert ask(port, "/guests", client)[0] == status
        # What follows in the chain is not reached by those who may not pass.
        assert ask(port, "/chain", "192.0.2.1")[0] == 302
        assert ask(port, "/chain", "198.51.100.1") == refused


def test_clients_pass_by_their_address_over_http2(folder: Path) -> None:
    with serving("native", folder, OFFICE, "h2c = true") as port:
        assert ask_http2(port, "/office", "192.0.2.1") == 200
        assert ask_http2(port, "/office", "192.0.2.200") == 403
        assert ask_http2(port, "/office", "198.51.100.1") == 403


KEYS = """
[middlewares.partners.api_key]
client_header = "x-client"
keys.shop = "sha256:{shop}"
keys.crawler = {{ file = "{file}" }}

[middlewares.staff.basic_auth]
user_header = "x-user"
users = ["alice:{hash}"]

[middlewares.members.jwt]
keys = '{keys}'
issuer = "https://login.example"
audience = "shop"
claims = {{ x-user = "sub" }}
allowed = {{ scope = ["read"] }}

[routes.partners]
match = [{{ path = {{ prefix = "/partners" }} }}]
middlewares = ["partners"]
upstream = "echo"

[routes.staff]
match = [{{ path = {{ prefix = "/staff" }} }}]
middlewares = ["staff"]
upstream = "echo"

[routes.members]
match = [{{ path = {{ prefix = "/members" }} }}]
middlewares = ["members"]
upstream = "echo"

[upstreams.echo]
endpoints = ["127.0.0.1:{echo}"]
"""
SPOOFED = "X-User: admin\r\nX_User: admin\r\nX-Client: admin\r\n"


class Echo(BaseHTTPRequestHandler):
    """Answers with the head that came."""

    def do_GET(self) -> None:
        body = json.dumps([[name.lower(), value] for name, value in self.headers.items()]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Signer:
    """Makes tokens of one key."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "one"})
        self.keys = json.dumps({"keys": [self.key.as_dict(private=False)]})

    def token(self, **claims: object) -> str:
        """A token for the shop, with other claims."""
        all_claims = {
            "iss": "https://login.example",
            "aud": "shop",
            "exp": int(time.time()) + 600,
            "sub": "bob",
            "scope": "read write",
            **claims,
        }
        return jwt.encode({"alg": "ES256", "kid": "one"}, all_claims, self.key)


@contextmanager
def guarded(folder: Path, signer: Signer) -> Iterator[tuple[RunningNode, int]]:
    """A node with every way in, in front of a server that answers with heads."""
    file = folder / "crawler.key"
    file.write_text("crawler-key-0123456789\n")
    file.chmod(0o600)
    port = free_port()
    with serving_http(Echo) as echo:
        text = LISTENER.format(port=port, more="h2c = true") + KEYS.format(
            shop=sha256(b"shop-key-0123456789").hexdigest(),
            file=file,
            hash=PasswordHasher(1, 8, 1).hash("s3cret"),
            keys=signer.keys,
            echo=echo,
        )
        with RunningNode(folder, f'node.admin = "off"\n{text}', "--no-watch") as node:
            node.until_ready()
            yield node, port


def told(answer: tuple[int, str]) -> dict[str, list[str]]:
    """The header lines that the endpoint got."""
    status, body = answer
    assert status == 200, body
    found: dict[str, list[str]] = {}
    for name, value in json.loads(body):
        found.setdefault(name, []).append(value)
    return found


def test_who_has_a_key_a_password_or_a_token_passes(folder: Path) -> None:
    signer = Signer()
    basic = "Authorization: Basic " + b64encode(b"alice:s3cret").decode() + "\r\n"
    bearer = f"Authorization: Bearer {signer.token()}\r\n"
    with guarded(folder, signer) as (node, port):
        for path, name, lines, who in (
            ("/partners", "x-client", "X-Api-Key: shop-key-0123456789\r\n", "shop"),
            ("/partners", "x-client", "X-Api-Key: crawler-key-0123456789\r\n", "crawler"),
            ("/staff", "x-user", basic, "alice"),
            ("/staff", "x-user", basic, "alice"),
            ("/members", "x-user", bearer, "bob"),
            ("/members", "x-user", bearer, "bob"),
        ):
            head = told(ask(port, path, "192.0.2.1", SPOOFED + lines))
            assert head[name] == [who]
            assert not {"x_user", "authorization", "x-api-key"} & head.keys()
        status, shown = node.admin("GET", "/config")
        assert status == 200
        assert b"argon2" not in shown
        assert sha256(b"crawler-key-0123456789").hexdigest().encode() not in shown


@pytest.mark.parametrize("path", ["/partners", "/staff", "/members"])
def test_nobody_else_passes(folder: Path, path: str) -> None:
    signer, other = Signer(), Signer()
    wrong = "Authorization: Basic " + b64encode(b"alice:secret").decode() + "\r\n"
    nobody = "Authorization: Basic " + b64encode(b"eve:s3cret").decode() + "\r\n"

    def bearer(**claims: object) -> str:
        return f"Authorization: Bearer {signer.token(**claims)}\r\n"

    cases = {
        "/partners": [("X-Api-Key: another-key-0123456789\r\n", 403)],
        "/staff": [(wrong, 401), (wrong, 401), (nobody, 401)],
        "/members": [
            (f"Authorization: Bearer {other.token()}\r\n", 401),
            (bearer(exp=1), 401),
            (bearer(aud="other"), 401),
            (bearer(iss="https://other.example"), 401),
            (bearer(scope="write"), 403),
            (bearer(sub="bob\r\nx-admin: 1"), 401),
            (wrong, 401),
        ],
    }
    with guarded(folder, signer) as (_, port):
        for lines, status in [("", 401), *cases[path]]:
            for upgrade in ("", UPGRADE):
                assert ask(port, path, "192.0.2.1", SPOOFED + lines + upgrade)[0] == status, lines
        assert ask_http2(port, path, "192.0.2.1") == 401


@pytest.mark.parametrize("kind", ["partners", "staff", "members"])
def test_nginx_refuses_what_it_cannot_verify(folder: Path, kind: str) -> None:
    text = LISTENER.format(port=1, more="") + KEYS.format(
        shop="0" * 64,
        file=folder / "key",
        hash=PasswordHasher(1, 8, 1).hash("s3cret"),
        keys=Signer().keys,
        echo=1,
    )
    (folder / "key").write_text("crawler-key-0123456789")
    (folder / "key").chmod(0o600)
    (folder / "headgate.toml").write_text(text)
    with pytest.raises(NotRenderedError, match=f"middleware {kind}: "):
        NginxEngine(folder / "headgate.toml", folder)
