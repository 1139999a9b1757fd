"""What a line has in place of a value that there is not: `-` in texts, on both engines."""

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
access_log = {{ {log}, sink = {{ path = "{folder}/access.log" }} }}
{more}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.all]
hosts = ["a.example"]
respond = {{ status = 204 }}
"""
FIELDS = ("route", "upstream", "endpoint", "referer", "user_agent", "client_subject", "tls_version")
TEMPLATE = "template = '{}'".format(" ".join(f"<${{{one}}}>" for one in FIELDS))
COMBINED = 'format = "combined"'
KEPT = "redact_query = []"
CASES = [(log, more) for log in (TEMPLATE, COMBINED) for more in ("", KEPT)]


def check(folder: Path, port: int, log: str) -> None:
    """Asks without any header and for no route, then with empty headers."""
    with Wire(port) as wire:
        assert wire.ask(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n").status == 404
        empty = b"Referer: \r\nUser-Agent: \r\n"
        assert wire.ask(b"GET / HTTP/1.1\r\nHost: a.example\r\n" + empty + b"\r\n").status == 204
    first, second = AccessLog(folder / "access.log").texts(2)
    if log == TEMPLATE:
        assert first == "<-> <-> <-> <-> <-> <-> <->"
        assert second == "<all> <-> <-> <-> <-> <-> <->"
    else:
        assert ' "-" "-" ' in first
        assert ' "-" "-" ' in second


@pytest.mark.parametrize(("log", "more"), CASES)
def test_the_native_engine_has_a_hyphen(folder: Path, port: int, log: str, more: str) -> None:
    text = CONFIG.format(folder=folder, port=port, log=log, more=more)
    with RunningNode(folder, text.replace("[node]\n", '[node]\nadmin = "off"\n')).until_ready():
        check(folder, port, log)


@pytest.mark.parametrize(("log", "more"), CASES)
def test_nginx_has_a_hyphen(folder: Path, log: str, more: str) -> None:
    peer("nginx")
    port = free_port()
    config = folder / "headgate.toml"
    config.write_text(CONFIG.format(folder=folder, port=port, log=log, more=more))
    with NginxEngine(config, folder):
        check(folder, port, log)
