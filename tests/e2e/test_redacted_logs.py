"""Access logs hold no credentials of a query or a Referer: on both engines, in every format."""

from pathlib import Path

import pytest
from access_log import AccessLog
from nginx_engine import NginxEngine
from peers import peer
from ports import free_port
from running_node import RunningNode
from wire import Wire

CONFIG = """
[node]
access_log = {{ format = "{form}", sink = {{ path = "{folder}/access.log" }} }}
redact_query = ["token", "shop.key"]

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.all]
respond = {{ status = 204 }}
"""
FORMS = ("json", "combined", "common")
ASKED = (
    ("/a?b=1&c=2", "/a?b=1&c=2"),
    ("/a?token=hunter2", "/a?token=(secret)"),
    ("/a?b=1&TOKEN=hunter2;x&c=2", "/a?b=1&TOKEN=(secret)&c=2"),
    ("/a?b[%5d]=1&shop.key=hunter2", "/a?b[%5d]=1&shop.key=(secret)"),
    ("/a?token=&token=(secret)x", "/a?token=(secret)&token=(secret)"),
    ("/a?tokens=1&shopxkey=2", "/a?tokens=1&shopxkey=2"),
    ("/a?b=1;token=hunter2", "/a?b=1;token=(secret)"),
    ("/a?n=/b?token=hunter2", "/a?n=/b?token=(secret)"),
)
ESCAPED = "/a?b=1&%74oken=hunter2"
MANY = "/many?" + "&".join(["token=hunter2"] * 40)


def check(folder: Path, port: int, form: str) -> None:
    """Asks with credentials in each place, and looks for them."""
    with Wire(port) as wire:
        for target, _ in (*ASKED, (ESCAPED, ""), (MANY, "")):
            head = f"GET {target} HTTP/1.1\r\nHost: a.example\r\nReferer: http://r{target}\r\n\r\n"
            assert wire.ask(head.encode()).status == 204
    found = AccessLog(folder / "access.log").texts(len(ASKED) + 2)
    text = "\n".join(found)
    assert "hunter2" not in text
    for (_, shown), line in zip(ASKED, found, strict=False):
        if form == "json":
            assert f'"target":"{shown}"' in line
        else:
            assert f'"GET {shown} HTTP/1.1"' in line
        assert (f'"http://r{shown}"' in line) is (form != "common")
    assert "/a?b=1&%74oken=(secret)" in found[-2] or "/a?(secret)" in found[-2]
    assert "/many?" in found[-1]
    if form != "json":
        assert '(secret) HTTP/1.1" 204' in found[-2]


@pytest.mark.parametrize("form", FORMS)
def test_the_native_engine_hides_them(folder: Path, port: int, form: str) -> None:
    text = CONFIG.format(folder=folder, port=port, form=form)
    with RunningNode(folder, text.replace("[node]\n", '[node]\nadmin = "off"\n')).until_ready():
        check(folder, port, form)
        with Wire(port) as wire:
            # What is refused unread has a line, too.
            wire.ask(b"GET /bad?token=hunter2 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        found = AccessLog(folder / "access.log").texts(len(ASKED) + 3)
        assert "hunter2" not in "".join(found)


@pytest.mark.parametrize("form", FORMS)
def test_nginx_hides_them(folder: Path, form: str) -> None:
    peer("nginx")
    port = free_port()
    config = folder / "headgate.toml"
    config.write_text(CONFIG.format(folder=folder, port=port, form=form))
    with NginxEngine(config, folder):
        check(folder, port, form)
        # Metrics come from a log of the engine's own.
        logs = [*folder.rglob("access.log")]
        assert len(logs) == 2
        for log in logs:
            assert "hunter2" not in "".join(AccessLog(log).texts(len(ASKED) + 2))
