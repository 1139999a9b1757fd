"""What a server refuses, and what it takes for that: no location beyond those of its routes."""

import socket
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from nginx_engine import NginxEngine, capabilities, expressed, loaded_file, target
from ports import free_port
from tls_authority import Authority
from waiting import DEADLINE_S

from headgate.nginxtext.parse import parse
from headgate.nginxtext.tree import Directive, walk

CONFIG = """
[listeners.secure]
address = "127.0.0.1:{port}"
default = true
tls = {{ default_certificate = "a" }}

[listeners.plain]
address = "127.0.0.1:{plain}"
default = true

[hosts."b.example"]
certificate = "b"

[routes.a]
hosts = ["a.example"]
respond = {{ body = "a" }}

[routes.b]
hosts = ["b.example"]
respond = {{ body = "b" }}
"""
MISDIRECTED = b"421 Misdirected Request\nthis connection was made for another host\n"


def written(folder: Path, port: int, plain: int) -> Path:
    """The config in a file, beside its certificates."""
    authority = Authority(folder)
    pairs = [authority.issue(name, f"{name}.example").toml(name) for name in ("a", "b")]
    path = folder / "headgate.toml"
    path.write_text(CONFIG.format(port=port, plain=plain) + "".join(pairs))
    return path


@pytest.fixture(scope="module", name="port")
def started() -> Iterator[int]:
    """The port of a running nginx with hosts of different certificates."""
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        port = free_port()
        path = written(Path(name), port, free_port())
        with NginxEngine(path, Path(name)):
            yield port


def asked(port: int, sni: str, request: str) -> tuple[bytes, bytes]:
    """(head, body) of the answer to these bytes on a connection for that name."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    answer = b""
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
        context.wrap_socket(plain, server_hostname=sni) as wrapped,
    ):
        wrapped.sendall(request.encode())
        while got := wrapped.recv(1 << 16):
            answer += got
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


def test_a_host_costs_nginx_no_location_beside_that_of_its_route() -> None:
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        found = loaded_file(written(Path(name), 1, 2))
        made = expressed(found, target(name, capabilities()))
    (text,) = (file for file in made.files if file.path == "http/b.example.conf")
    blocks = [
        one.name
        for one in walk(parse(text.content, "b").nodes)
        if isinstance(one, Directive) and one.children is not None
    ]
    assert blocks == [b"server", b"location"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize(
    "path", ["/", "/x?y", "/%41", "/a/../b", "/.", "//", "/misdirected", "/refused", "/%00", "/\\"]
)
def test_a_request_for_another_certificates_host_gets_421(
    port: int, method: str, path: str
) -> None:
    lines = "Host: b.example\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
    head, body = asked(port, "a.example", f"{method} {path} HTTP/1.1\r\n{lines}")
    if path == "/%00":  # nginx itself takes no zero byte
        assert head.startswith(b"HTTP/1.1 400")
        return
    assert head.startswith(b"HTTP/1.1 421"), head
    assert b"proxy-status: headgate; error=http_request_denied" in head
    assert body == (b"" if method == "HEAD" else MISDIRECTED)


@pytest.mark.parametrize("host", ["a.example", "b.example"])
def test_a_path_that_is_not_acceptable_gets_400_and_why(port: int, host: str) -> None:
    lines = f"Host: {host}\r\nConnection: close\r\n\r\n"
    head, body = asked(port, host, f"GET /a%5cb HTTP/1.1\r\n{lines}")
    assert head.startswith(b"HTTP/1.1 400"), head
    assert body == b"400 Bad Request\nthe path is not acceptable\n"


@pytest.mark.parametrize("path", ["/", "/misdirected", "/refused", "/m", "/r"])
def test_a_path_named_like_a_refusal_is_served(port: int, path: str) -> None:
    lines = "Host: b.example\r\nConnection: close\r\n\r\n"
    head, body = asked(port, "b.example", f"GET {path} HTTP/1.1\r\n{lines}")
    assert (head[:12], body) == (b"HTTP/1.1 200", b"b")


@pytest.mark.parametrize("target", ["misdirected", "refused", "m", "*", "http://b.example"])
def test_no_target_without_a_slash_reaches_a_route_of_another_host(port: int, target: str) -> None:
    lines = "Host: b.example\r\nConnection: close\r\n\r\n"
    head, body = asked(port, "a.example", f"GET {target} HTTP/1.1\r\n{lines}")
    assert head.split()[1] in (b"400", b"421"), head
    assert not body.endswith(b"b")
