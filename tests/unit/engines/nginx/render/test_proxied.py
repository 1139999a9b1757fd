"""PROXY headers on a real nginx: the client is the one of the header, and strangers get nothing."""

import json
import socket
from pathlib import Path

import pytest
from echo_upstream import EchoUpstream
from nginx_engine import NginxEngine, NotRenderedError, loaded_file
from ports import free_ports
from proxied import refused
from waiting import DEADLINE_S

CONFIG = """
[listeners.web]
address = "127.0.0.1:{web}"
default = true

[listeners.proxied]
address = "127.0.0.1:{proxied}"
default = true
proxy_protocol.trusted = ["127.0.0.1/32", "::/0"]

[routes.echo]
hosts = ["a.example"]
middlewares = [{{ response_headers.set.said = "${{client_ip}}" }}]
upstream = "echo"

[upstreams.echo]
endpoints = ["{echo}"]
"""
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\x00\x02\x08\xc6\x33\x64\x02\x00\x05\x01\xbb"


def ask(port: int, data: bytes) -> tuple[str, dict[str, str]]:
    """What the answer says of the client, and the fields that the endpoint saw."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as link:
        link.sendall(data)
        answer = b""
        while part := link.recv(65536):
            answer += part
    head, _, body = answer.decode().partition("\r\n\r\n")
    said = [line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("said: ")]
    return said[0], dict(json.loads(body)["fields"])


def test_the_client_is_the_one_of_the_header(tmp_path: Path) -> None:
    with EchoUpstream() as echo:
        web, proxied = free_ports(2)
        file = tmp_path / "headgate.toml"
        file.write_text(CONFIG.format(web=web, proxied=proxied, echo=echo.address))
        tmp_path.chmod(0o755)
        with NginxEngine(file, tmp_path):
            for header, client in ((V1, "192.0.2.7"), (V2, "192.0.2.8")):
                said, fields = ask(proxied, header + GET)
                assert (said, fields["x-real-ip"], fields["x-forwarded-for"]) == (client,) * 3
            said, fields = ask(web, GET)
            assert (said, fields["x-forwarded-for"]) == ("127.0.0.1", "127.0.0.1")
            assert refused(proxied, GET)
            assert refused(proxied, V1 + GET, source="127.0.0.9")


@pytest.mark.parametrize(
    ("listener", "upstream", "said"),
    [
        (
            'proxy_protocol = { trusted = ["::1"], mode = "optional" }',
            "",
            "listener web: proxy_protocol.mode: nginx takes no connection without a header",
        ),
        (
            'proxy_protocol = { trusted = ["::1"], timeout = "1s" }',
            "",
            "listener web: proxy_protocol.timeout: nginx has one time",
        ),
        (
            'proxy_protocol = { trusted = ["::1"] }\nclient_ip = { trusted = ["::1"] }',
            "",
            "listener web: client_ip.trusted: nginx takes the client from",
        ),
        (
            "",
            'proxy_protocol = "v1"',
            "upstream app: proxy_protocol: nginx tells endpoints of HTTP nothing",
        ),
    ],
)
def test_what_nginx_cannot_do_is_refused(
    tmp_path: Path, listener: str, upstream: str, said: str
) -> None:
    text = (
        f'[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n{listener}\n'
        f'[routes.all]\nupstream = "app"\n[upstreams.app]\nendpoints = ["127.0.0.1:1"]\n{upstream}'
    )
    (tmp_path / "headgate.toml").write_text(text)
    assert loaded_file(tmp_path / "headgate.toml").plan is not None
    with pytest.raises(NotRenderedError, match=said):
        NginxEngine(tmp_path / "headgate.toml", tmp_path)
