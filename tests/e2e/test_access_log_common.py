"""The access log in Apache's common format: on both engines, and read back."""

import re
from pathlib import Path

from access_log import AccessLog
from nginx_engine import NginxEngine
from peers import peer
from ports import free_port
from running_node import RunningNode
from wire import Wire

from headgate.compile.logged import read
from headgate.node.agent.log_lines import read as searched

CONFIG = """
[node]
access_log = {{ format = "common", sink = {{ path = "{folder}/access.log" }} }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.all]
respond = {{ status = 204 }}
"""
LINE = re.compile(
    r"127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
    r'"GET (\S+) HTTP/1\.1" 204 0'
)


def check(folder: Path, port: int) -> None:
    """Asks for a path with a quote in it, and reads its line in every way."""
    with Wire(port) as wire:
        assert wire.ask(b'GET /a"b?c=d HTTP/1.1\r\nHost: a.example\r\n\r\n').status == 204
    (line,) = AccessLog(folder / "access.log").texts(1)
    found = LINE.fullmatch(line)
    assert found is not None, line
    assert found[1] == r"/a\x22b?c=d"
    assert len(read([line], "http://a.example").questions) == 1
    seen = searched(line)
    assert seen is not None
    assert (seen.status, seen.target) == ("204", r"/a\x22b?c=d")


def test_the_native_engine_writes_it(folder: Path, port: int) -> None:
    text = CONFIG.format(folder=folder, port=port)
    with RunningNode(folder, text.replace("[node]\n", '[node]\nadmin = "off"\n')).until_ready():
        check(folder, port)


def test_nginx_writes_it(folder: Path) -> None:
    peer("nginx")
    port = free_port()
    config = folder / "headgate.toml"
    config.write_text(CONFIG.format(folder=folder, port=port))
    with NginxEngine(config, folder):
        check(folder, port)
