"""What a mirror gets of an imported config: the same requests as from its own nginx."""

import contextlib
import http.client
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
    upstream shadow {{ server {shadow}; }}
    upstream canary {{ server {canary}; }}
    server {{
        listen 127.0.0.1:{port} default_server;
        proxy_set_header Host $http_host;
        proxy_set_header X-Own yes;
        proxy_set_header X-Gone "";
        location = /_copy {{
            internal;
            proxy_pass http://shadow$request_uri;
            proxy_read_timeout 20s;
        }}
        location = /_second {{
            internal;
            proxy_pass http://canary$request_uri;
            proxy_read_timeout 20s;
        }}
        location = /_other {{
            internal;
            proxy_pass http://shadow/other$request_uri;
        }}
        location / {{ proxy_pass http://{live}; }}
        location /copied/ {{ mirror /_copy; proxy_pass http://{live}; }}
        location /twice/ {{ mirror /_copy; mirror /_second; proxy_pass http://{live}; }}
        location /closed/ {{ mirror /_copy; deny all; proxy_pass http://{live}; }}
        location /text/ {{ mirror /_copy; return 200 text; }}
        location /other/ {{ mirror /_other; proxy_pass http://{live}; }}
    }}
}}
"""
ASKED = [
    ("GET", "/copied/a%20b?c=%41", ""),
    ("GET", "/copied//x/../y", ""),
    ("DELETE", "/copied/z", ""),
    ("POST", "/copied/body", "x" * 100_000),
    ("POST", "/twice/body", "x" * 1_000),
    ("GET", "/plain/x", ""),
    ("GET", "/closed/x", ""),
    ("GET", "/text/x", ""),
    ("GET", "/_copy", ""),
]
"""Requests of which the first five have copies, and the last of these two."""


def ask(port: int, method: str, path: str, body: str, whose: str) -> tuple[int, str]:
    """Status and text of an answer."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    with contextlib.closing(link):
        lines = {"Host": "a.example", "X-Gone": "1", "X-From": whose}
        link.request(method, path, body or None, lines)
        answer = link.getresponse()
        text = answer.read().decode()
        return answer.status, text if answer.status == 200 else ""


def copies(shadow: Upstream, whose: str) -> dict[str, tuple[str, bytes, str, str | None]]:
    """What the mirror got of one of the two, by target."""
    return {
        one.target: (one.method, one.body, one.headers["host"], one.headers.get("x-own"))
        for one in shadow.seen
        if one.headers["x-from"] == whose and "x-gone" not in one.headers
    }


def awaited(shadow: Upstream, whose: str, count: int) -> object:
    """What it got of one of the two, once these are so many."""
    until(lambda: len(copies(shadow, whose)) == count, f"{count} copies {whose}")
    return copies(shadow, whose)


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize(("engine", "kept"), [("native", False), ("nginx", False), ("nginx", True)])
def test_the_same_requests_are_copied(folder: Path, engine: str, kept: bool) -> None:
    theirs = folder / "original"
    theirs.mkdir()
    theirs.chmod(0o755)
    there, here = free_port(), free_port()
    with (
        Upstream("live") as live,
        Upstream("shadow", status=500) as shadow,
        Upstream("canary") as canary,
    ):
        known = {"live": live.address, "shadow": shadow.address, "canary": canary.address}
        bundle = imported(folder, CONFIG.format(folder=folder, port=here, **known))
        text = (bundle / "headgate.toml").read_text() if kept else without_kept_text(bundle)
        assert "`mirror /_other`: its target is not" in text
        original = CONFIG.format(folder=theirs, port=there, **known)
        with served(theirs, original), running(folder, text, engine):

            def is_up() -> bool:
                with contextlib.suppress(OSError):
                    return ask(there, "GET", "/", "", "none")[0] == 200
                return False

            until(is_up, "the original answers")
            for one in ASKED:
                assert ask(here, *one, "here") == ask(there, *one, "there"), one
            for mirror, count in ((shadow, 5), (canary, 1)):
                assert awaited(mirror, "here", count) == awaited(mirror, "there", count)
            status, _ = ask(here, "GET", "/other/x", "", "here")
            assert status == (200 if kept else 503)
