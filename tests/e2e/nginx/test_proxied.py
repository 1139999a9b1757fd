"""A node with nginx behind a real HAProxy that sends PROXY headers."""

import json
import socket
import ssl
from pathlib import Path

import pytest
from echo_upstream import EchoUpstream
from ports import free_port
from proxied import get_from, haproxy
from running_node import RunningNode, config
from tls_authority import Authority
from waiting import DEADLINE_S, until

TRUSTED = 'default = true\nproxy_protocol = { trusted = ["127.0.0.1/32"] }\n'


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2"])
def test_the_client_of_haproxy_s_header_is_that_of_nginx(
    folder: Path, port: int, probed: None, send: str
) -> None:
    front = free_port()
    body = f"listen front\n    bind 127.0.0.1:{front}\n    server nginx 127.0.0.1:{port} {send}\n"
    with EchoUpstream() as echo:
        text = config(port, echo.address).replace("default = true\n", TRUSTED)
        with (
            RunningNode(folder, text, "--engine", "nginx").until_ready(),
            haproxy(folder, front, body),
        ):
            status, answer = get_from("127.0.0.77", front, **{"X-Forwarded-For": "6.6.6.6"})
    assert status == 200
    assert dict(json.loads(answer)["fields"])["x-forwarded-for"] == "127.0.0.77"


def test_the_node_proves_certificates_behind_headers(folder: Path, port: int, probed: None) -> None:
    authority = Authority(folder)
    pair = authority.issue("site", "a.example")
    with EchoUpstream() as echo:
        text = config(port, echo.address).replace("default = true\n", TRUSTED + "tls = {}\n")
        text += pair.toml("site") + '[hosts."a.example"]\ncertificate = ["site"]\n'
        with RunningNode(folder, text, "--engine", "nginx").until_ready() as node:
            until(lambda: node.engine()["drift"] == "in sync", "the first look")
            context = ssl.create_default_context(cafile=str(authority.ca_file))
            with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain:
                plain.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n")
                with context.wrap_socket(plain, server_hostname="a.example") as link:
                    link.sendall(b"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n")
                    assert b" 200 " in link.recv(1024)
