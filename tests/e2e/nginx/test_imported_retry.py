"""An imported config tries requests again as the nginx that it was written for does."""

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from imported_beside import imported, running, served, without_kept_text
from ports import free_port
from waiting import DEADLINE_S, until

from headgate.testing import Upstream

CONFIG = """\
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream reset {{ server {reset} max_fails=0; server {good} max_fails=0; }}
    upstream silent {{ server {silent} max_fails=0; server {good} max_fails=0; }}
    upstream refused {{ server {refused} max_fails=0; server {good} max_fails=0; }}
    upstream busy {{ server {busy} max_fails=0; server {good} max_fails=0; }}
    upstream crowd {{ server {busy} max_fails=0; server {full} max_fails=0; }}
    upstream spare {{ server {reset} max_fails=0; server {good} backup; }}
    server {{
        listen 127.0.0.1:{port} default_server;
        location / {{ proxy_pass http://{good}; }}
        location /reset/ {{ proxy_pass http://reset; }}
        location /silent/ {{ proxy_pass http://silent; proxy_read_timeout 10s; }}
        location /refused/ {{ proxy_pass http://refused; }}
        location /busy/ {{ proxy_pass http://busy; }}
        location /spare/ {{ proxy_pass http://spare; }}
        location /every/ {{
            proxy_pass http://reset;
            proxy_next_upstream error timeout non_idempotent;
            proxy_next_upstream_tries 2;
        }}
        location /status/ {{ proxy_pass http://busy; proxy_next_upstream error timeout http_503; }}
        location /crowd/ {{ proxy_pass http://crowd; proxy_next_upstream error timeout http_503; }}
        location /off/ {{ proxy_pass http://reset; proxy_next_upstream off; }}
    }}
}}
"""
ASKED = [
    ("GET", "/reset/"),
    ("POST", "/reset/"),
    ("DELETE", "/reset/"),
    ("GET", "/silent/"),
    ("POST", "/silent/"),
    ("GET", "/refused/"),
    ("POST", "/refused/"),
    ("GET", "/busy/"),
    ("GET", "/spare/"),
    ("POST", "/spare/"),
    ("POST", "/every/"),
    ("GET", "/status/"),
    ("POST", "/status/"),
    ("GET", "/crowd/"),
]
EACH = 5
"""Requests of a kind: more than workers, so that some worker asks both endpoints first."""


@contextlib.contextmanager
def answerless(*, closes: bool) -> Iterator[str]:
    """The address of a server that reads a request and closes its connection, or keeps it."""
    held: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                link = listener.accept()[0]
                link.recv(65_536)
                if closes:
                    link.close()
                else:
                    held.append(link)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for link in held:
                link.close()


def ask(port: int, method: str, path: str) -> tuple[int, str]:
    """Status of an answer, and its text if an endpoint gave it.

    A body comes with its head: nginx sends a request again only if it has the whole of it.
    """
    body = "x" if method == "POST" else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as link:
        link.sendall((head + body).encode())
        answer = http.client.HTTPResponse(link, method=method)
        answer.begin()
        text = answer.read().decode()
        return answer.status, text if answer.status in (200, 503) else ""


def at_once(ports: list[int], method: str, path: str) -> list[tuple[int, str]]:
    """The same of each port, all asked at once: what is silent takes its time once."""
    with ThreadPoolExecutor(len(ports)) as pool:
        return list(pool.map(lambda port: ask(port, method, path), ports))


def is_up(port: int) -> bool:
    """Whether somebody answers."""
    with contextlib.suppress(OSError):
        return ask(port, "GET", "/")[0] == 200
    return False


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize(("engine", "kept"), [("native", False), ("nginx", False), ("nginx", True)])
def test_the_same_requests_are_tried_again(folder: Path, engine: str, kept: bool) -> None:
    theirs = folder / "original"
    theirs.mkdir()
    theirs.chmod(0o755)
    there, here = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        places = {
            "good": stack.enter_context(Upstream("good")).address,
            "busy": stack.enter_context(Upstream("busy", status=503)).address,
            "full": stack.enter_context(Upstream("busy", status=503)).address,
            "reset": stack.enter_context(answerless(closes=True)),
            "silent": stack.enter_context(answerless(closes=False)),
            "refused": f"127.0.0.1:{free_port()}",
        }
        bundle = imported(folder, CONFIG.format(folder=folder, port=here, **places))
        text = (bundle / "headgate.toml").read_text() if kept else without_kept_text(bundle)
        assert "proxy_next_upstream off" in text
        original = CONFIG.format(folder=theirs, port=there, **places)
        with served(theirs, original), running(folder, text, engine):
            until(lambda: is_up(there), "the original answers")
            for one in ASKED:
                asked = at_once([there] * EACH + [here] * EACH, *one)
                assert set(asked[:EACH]) == set(asked[EACH:]), one
            answers = {ask(here, "GET", "/off/")[0] for _ in range(EACH)}
            assert answers == ({200, 502} if kept else {503})
