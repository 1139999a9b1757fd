"""An imported `stream` with UDP serves as the nginx that it was written for, on both engines."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from imported_beside import imported, running, served, without_kept_text
from nginx_engine import stream_capabilities
from ports import free_ports
from tcp_echo import Echo, talk
from waiting import DEADLINE_S, until

CONFIG = """\
{load}
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
stream {{
    proxy_half_close on;
    server {{
        listen 127.0.0.1:{first} udp reuseport;
        listen 127.0.0.1:{first};
        proxy_responses 1;
        proxy_pass 127.0.0.1:{a};
    }}
    server {{
        listen 127.0.0.1:{second} udp reuseport;
        allow 127.0.0.2;
        deny all;
        proxy_pass 127.0.0.1:{a};
    }}
    server {{
        listen 127.0.0.1:{kept} udp reuseport;
        proxy_responses 0;
        proxy_pass 127.0.0.1:{a};
    }}
}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{web}; location / {{ return 204; }} }}
}}
"""
SILENCE_S = 0.5
"""How long to look for an answer that is not to come."""


@pytest.fixture
def echo() -> Iterator[tuple[Echo, list[bytes]]]:
    """A server of one port over TCP and UDP, and the datagrams that reached it."""
    one = Echo(b"a")
    got: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as of_udp:
        of_udp.bind(("127.0.0.1", one.port))

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    data, client = of_udp.recvfrom(65_536)
                    if not data:
                        return
                    got.append(data)
                    of_udp.sendto(b"a" + data, client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield one, got
        of_udp.sendto(b"", of_udp.getsockname())
        thread.join()
    one.close()


def asked(port: int, source: str = "127.0.0.1", *, wait_s: float = DEADLINE_S) -> bytes:
    """The answer to a datagram; empty for none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((source, 0))
        client.settimeout(wait_s)
        with contextlib.suppress(OSError):
            client.sendto(b"?", ("127.0.0.1", port))
            return client.recv(100)
    return b""


def test_the_import_serves_the_same(folder: Path, echo: tuple[Echo, list[bytes]]) -> None:
    able = stream_capabilities()
    load = f"load_module {able.modules['stream']};" if "stream" in able.modules else ""
    first, second, kept, web = free_ports(4)
    places = {"first": first, "second": second, "kept": kept, "web": web}
    text = CONFIG.format(load=load, folder=folder, a=echo[0].port, **places)
    answers = echo[1]

    def same() -> None:
        assert (asked(first), talk(first, b"hello")) == (b"a?", b"a")
        assert asked(second, "127.0.0.2") == b"a?"
        assert asked(second, wait_s=SILENCE_S) == b""

    def came() -> bool:
        before = len(answers)
        asked(kept, wait_s=SILENCE_S)
        return len(answers) > before

    with served(folder, text):
        until(lambda: asked(first, wait_s=SILENCE_S) == b"a?", "the original")
        same()
        until(came, "a datagram at the kept server")
    bundle = imported(folder, text)
    with running(folder, without_kept_text(bundle), "native"):
        same()
        assert not came()  # nobody listens for what was kept
    with running(folder, (bundle / "headgate.toml").read_text(), "nginx"):
        same()
        until(came, "a datagram at the kept server")
