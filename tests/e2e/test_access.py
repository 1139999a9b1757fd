"""Who may pass: by address, on both engines, over HTTP/1 and HTTP/2, WebSockets too."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from nginx_engine import NginxEngine
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
        with RunningNode(folder, text, "--no-watch") as node:
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
