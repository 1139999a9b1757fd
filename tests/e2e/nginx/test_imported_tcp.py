"""An imported `stream` serves as the nginx that it was written for, on both engines."""

import contextlib
import socket
import ssl
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
    upstream both {{ server 127.0.0.1:{gone}; server 127.0.0.1:{a} weight=2; }}
    server {{ listen 127.0.0.1:{first}; proxy_half_close on; proxy_pass both; }}
    server {{
        listen 127.0.0.1:{second};
        allow 127.0.0.2;
        deny all;
        proxy_half_close on;
        proxy_pass 127.0.0.1:{b};
    }}
    server {{
        listen 127.0.0.1:{kept};
        proxy_half_close on;
        proxy_bind 127.0.0.1;
        proxy_pass 127.0.0.1:{b};
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


@pytest.fixture
def echoes() -> Iterator[list[Echo]]:
    """Two servers, `a` and `b`."""
    both = [Echo(b"a"), Echo(b"b")]
    yield both
    for one in both:
        one.close()


def said(port: int, source: str = "127.0.0.1") -> str:
    """Which server answers; empty where nobody does."""
    try:
        return talk(port, b"x" * 100_000, source=source).decode()
    except (OSError, AssertionError):
        return ""


def test_the_import_serves_the_same(folder: Path, echoes: list[Echo]) -> None:
    able = stream_capabilities()
    load = f"load_module {able.modules['stream']};" if "stream" in able.modules else ""
    first, second, kept, web, gone = free_ports(5)
    places = {"first": first, "second": second, "kept": kept, "web": web, "gone": gone}
    a, b = (one.port for one in echoes)
    text = CONFIG.format(load=load, folder=folder, a=a, b=b, **places)

    def answers() -> list[str]:
        found = [said(first) for _ in range(4)]
        return [*found, said(second), said(second, "127.0.0.2"), said(kept)]

    wanted = ["a"] * 4 + ["", "b", "b"]
    with served(folder, text):
        until(lambda: said(first) == "a", "the original")
        assert answers() == wanted
    bundle = imported(folder, text)
    with running(folder, without_kept_text(bundle), "native"):
        # Nobody listens for what was kept.
        assert answers() == [*wanted[:-1], ""]
    with running(folder, (bundle / "headgate.toml").read_text(), "nginx"):
        assert answers() == wanted


NAMED = """\
{load}
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
stream {{
    proxy_half_close on;
    upstream left {{ server 127.0.0.1:{a}; }}
    upstream right {{ server 127.0.0.1:{b}; }}
    map $ssl_preread_server_name $to {{
        hostnames;
        a.example left;
        *.any.example 127.0.0.1:{b};
        {default}
    }}
    server {{ listen 127.0.0.1:{first}; ssl_preread on; proxy_pass $to; }}
    server {{
        listen 127.0.0.1:{second} proxy_protocol;
        set_real_ip_from 127.0.0.2;
        proxy_protocol on;
        proxy_pass right;
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
NAMES = ["a.example", "A.Example", "x.a.example", "any.example", "x.any.example", "y.x.any.example"]
NAMES += ["b.example", "aaexample", ""]


def hello(name: str) -> bytes:
    """What a TLS client sends first; an empty name is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    sent = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name or None).do_handshake()
    return sent.read()


def first_byte(port: int, sent: bytes) -> str:
    """Which server answers to these bytes; empty where nobody does."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as one,
    ):
        one.sendall(sent)
        return one.recv(1).decode()
    return ""


def told(port: int, source: str, client: str) -> str:
    """Who the endpoint is told that asks, by a peer that tells of a client; empty if nobody."""
    head = f"PROXY TCP4 {client} 127.0.0.1 1000 {port}\r\n"
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), DEADLINE_S, (source, 0)) as one,
    ):
        one.sendall(head.encode() + b"x")
        one.shutdown(socket.SHUT_WR)
        got = b""
        while data := one.recv(65536):
            got += data
        words = got.decode().split(" ")
        return " ".join(words[:3]) if got else ""
    return ""


@pytest.mark.parametrize("default", ["", "default 127.0.0.1:{b};"])
def test_names_and_clients_pass_the_same(folder: Path, echoes: list[Echo], default: str) -> None:
    able = stream_capabilities()
    load = f"load_module {able.modules['stream']};" if "stream" in able.modules else ""
    first, second, web = free_ports(3)
    a, b = (one.port for one in echoes)
    places = {"a": a, "b": b, "first": first, "second": second, "web": web}
    text = NAMED.format(load=load, folder=folder, default=default.format(b=b), **places)

    def answers() -> tuple[list[str], str]:
        found = [first_byte(first, hello(name)) for name in NAMES]
        return found, told(second, "127.0.0.2", "192.0.2.7")

    with served(folder, text):
        until(lambda: first_byte(first, hello("a.example")) == "a", "the original")
        wanted = answers()
        assert told(second, "127.0.0.1", "192.0.2.7").endswith(" 127.0.0.1")
    other = "b" if default else ""
    assert wanted == (["a", "a", other, other, "b", "b", other, other, other], wanted[1])
    assert wanted[1] == "bPROXY TCP4 192.0.2.7"
    bundle = imported(folder, text)
    for engine, model in (
        ("native", without_kept_text(bundle)),
        ("nginx", without_kept_text(bundle)),
        ("nginx", (bundle / "headgate.toml").read_text()),
    ):
        with running(folder, model, engine):
            assert answers() == wanted, engine
            if "imported =" not in model:
                # Where names decide, what is no TLS has no route; peers that nobody trusts neither.
                assert first_byte(first, b"x" * 600) == ""
                assert told(second, "127.0.0.1", "192.0.2.7") == ""


def test_the_report_says_what_was_kept_and_why(folder: Path) -> None:
    stream_capabilities()
    text = CONFIG.format(load="", folder=folder, a=1, b=2, first=3, second=4, kept=5, web=6, gone=7)
    bundle = imported(folder, text)
    assert '[tcp_routes."tcp-127.0.0.1-3"]' in (bundle / "headgate.toml").read_text()
    assert "`proxy_bind` has no counterpart" in (bundle / "import.json").read_text()
