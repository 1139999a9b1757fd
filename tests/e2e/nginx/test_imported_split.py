"""An imported `split_clients` divides requests as the nginx that it was written for does."""

import contextlib
import http.client
from collections.abc import Mapping
from pathlib import Path

import pytest
from chance import likely
from imported_beside import imported, running, served, without_kept_text
from ports import free_port
from running_node import Upstream
from waiting import DEADLINE_S, until

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
    set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For; real_ip_recursive on;
    upstream one {{ server {one}; }}
    split_clients "$remote_addr" $kept {{ 25% one; * {two}; }}
    split_clients "$request_id" $drawn {{ 50% {two}; * one; }}
    split_clients "$http_x_user" $user {{ 50% {two}; * one; }}
    server {{
        listen 127.0.0.1:{port} default_server;
        location /kept/ {{ proxy_pass http://$kept; proxy_set_header Host $host; }}
        location /drawn/ {{ proxy_pass http://$drawn; proxy_set_header Host $host; }}
        location /user/ {{ proxy_pass http://$user; proxy_set_header Host $host; }}
    }}
}}
"""
CLIENTS = [f"10.0.{n}.{n}" for n in range(200)]


def answers(port: int, path: str) -> list[str]:
    """What each client gets."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    with contextlib.closing(link):

        def said(headers: Mapping[str, str]) -> str:
            link.request("GET", path, headers=headers)
            answer = link.getresponse()
            body = answer.read().decode()
            return body if answer.status == 200 else str(answer.status)

        return [said({"X-Forwarded-For": client}) for client in CLIENTS]


def is_up(port: int) -> bool:
    """Whether somebody answers."""
    with (
        contextlib.suppress(OSError),
        contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        ) as link,
    ):
        link.request("GET", "/kept/")
        return link.getresponse().status == 200
    return False


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize(("engine", "kept"), [("native", False), ("nginx", False), ("nginx", True)])
def test_each_branch_has_its_share(
    folder: Path, one: Upstream, two: Upstream, engine: str, kept: bool
) -> None:
    theirs = folder / "original"
    theirs.mkdir()
    theirs.chmod(0o755)
    there, here = free_port(), free_port()
    places = {"one": one.address, "two": two.address}
    bundle = imported(folder, CONFIG.format(folder=folder, port=here, **places))
    text = (bundle / "headgate.toml").read_text() if kept else without_kept_text(bundle)
    assert "no counterpart hashes that" in text
    original = CONFIG.format(folder=theirs, port=there, **places)
    with served(theirs, original), running(folder, text, engine):
        until(lambda: is_up(there), "the original answers")
        wanted = answers(there, "/kept/")
        found = answers(here, "/kept/")
        assert answers(here, "/kept/") == found, "clients keep their branch"
        # A quarter of 200 addresses, by either hash, which are the same on every run.
        assert {len(wanted), len(found)} == {200}
        assert 35 <= wanted.count("one") <= 65
        assert 35 <= found.count("one") <= 65
        assert wanted.count("one") + wanted.count("two") == 200
        assert found.count("one") + found.count("two") == 200
        if engine == "nginx":
            assert found == wanted
        drawn = answers(here, "/drawn/")
        assert drawn.count("one") in likely(200, 1 / 2)
        assert drawn.count("one") + drawn.count("two") == 200
        assert set(answers(here, "/user/")) == (set(answers(there, "/user/")) if kept else {"503"})
