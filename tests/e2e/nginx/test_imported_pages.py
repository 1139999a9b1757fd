"""An imported config answers errors with the pages that its own nginx answers with."""

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
    server {{
        listen 127.0.0.1:{port} default_server;
        add_header X-Site one always;
        error_page 413 500 502 503 504 /sorry;
        location = /sorry {{ internal; default_type text/html; return 200 "<p>$status</p>"; }}
        location = /gone.html {{ return 200 'nothing "here"\\n'; }}
        location / {{ proxy_pass http://{good}; }}
        location /plain/ {{ proxy_pass http://{busy}/; }}
        location /busy/ {{ proxy_pass http://{busy}; proxy_intercept_errors on; }}
        location /gone/ {{
            proxy_pass http://{gone};
            proxy_intercept_errors on;
            error_page 404 /gone.html;
        }}
        location /teapot/ {{ proxy_pass http://{teapot}; proxy_intercept_errors on; }}
        location /down/ {{ proxy_pass http://{down}; proxy_intercept_errors on; }}
        location /small/ {{
            proxy_pass http://{good};
            proxy_intercept_errors on;
            client_max_body_size 1k;
        }}
        location /changed/ {{
            proxy_pass http://{gone};
            proxy_intercept_errors on;
            error_page 404 =200 /gone.html;
        }}
        location /fallback/ {{ proxy_pass http://{down}; error_page 502 = @other; }}
        location @other {{ proxy_pass http://{good}; }}
    }}
}}
"""
ASKED = [
    ("GET", "/", 0),
    ("GET", "/sorry", 0),
    ("GET", "/gone.html", 0),
    ("GET", "/plain/", 0),
    ("GET", "/busy/", 0),
    ("HEAD", "/busy/", 0),
    ("POST", "/busy/", 10),
    ("GET", "/gone/x", 0),
    ("GET", "/teapot/", 0),
    ("GET", "/down/", 0),
    ("POST", "/down/", 10),
    ("GET", "/small/", 0),
    ("POST", "/small/", 2_000),
]
KEPT = [("GET", "/changed/", 0), ("GET", "/fallback/", 0)]


def ask(port: int, method: str, path: str, size: int) -> tuple[int, str, str | None, str | None]:
    """Status, text, type and a header of an answer; the text of nginx's own page is left out."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    with contextlib.closing(link):
        link.request(method, path, "x" * size if size else None)
        answer = link.getresponse()
        text = answer.read().decode()
        kind = answer.getheader("Content-Type")
        if path == "/sorry":
            text, kind = "", None
        return answer.status, text, kind, answer.getheader("X-Site")


def is_up(port: int) -> bool:
    """Whether somebody answers."""
    with contextlib.suppress(OSError):
        return ask(port, "GET", "/", 0)[0] == 200
    return False


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize(("engine", "kept"), [("native", False), ("nginx", False), ("nginx", True)])
def test_errors_have_the_same_pages(folder: Path, engine: str, kept: bool) -> None:
    theirs = folder / "original"
    theirs.mkdir()
    theirs.chmod(0o755)
    there, here = free_port(), free_port()
    with (
        Upstream("good") as good,
        Upstream("busy", status=503) as busy,
        Upstream("gone", status=404) as gone,
        Upstream("teapot", status=418) as teapot,
    ):
        places = {
            "good": good.address,
            "busy": busy.address,
            "gone": gone.address,
            "teapot": teapot.address,
            "down": f"127.0.0.1:{free_port()}",
        }
        bundle = imported(folder, CONFIG.format(folder=folder, port=here, **places))
        text = (bundle / "headgate.toml").read_text() if kept else without_kept_text(bundle)
        assert text.count("answers with another status than the error") == len(KEPT)
        original = CONFIG.format(folder=theirs, port=there, **places)
        with served(theirs, original), running(folder, text, engine):
            until(lambda: is_up(there), "the original answers")
            for one in ASKED:
                assert ask(here, *one) == ask(there, *one), one
            assert ask(here, "GET", "/busy/", 0)[:2] == (503, "<p>503</p>")
            for one in KEPT:
                assert ask(there, *one)[0] == 200, one
                assert ask(here, *one)[0] == (200 if kept else 503), one
