"""Access logs that the config lays out, by fields and templates: nobody forges their lines."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from access_log import AccessLog
from nginx_engine import NginxEngine, NotRenderedError
from peers import peer
from ports import free_port
from running_node import RunningNode
from wire import Wire

CONFIG = """
[node]
access_log = {{ {log}, sink = {{ path = "{folder}/access.log" }} }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.all]
respond = {{ status = 204 }}
"""
FIELDS = 'fields = ["status", "route", "user_agent", "target", "bytes_out", "client_port", "alpn"]'
TEMPLATE = 'template = \'$$${status} "${target}" "${user_agent}" [${route}] ${alpn}\''
REFUSED = 'fields = ["time", "tries"]'
FORGED = b'x" 200\\ \xff"'


def lines(folder: Path, port: int) -> list[str]:
    """What the log has of two requests."""
    with Wire(port) as wire:
        for agent in (b"curl/8", FORGED):
            head = b"GET /a?token=hunter2&b=1 HTTP/1.1\r\nHost: a\r\nUser-Agent: " + agent
            wire.ask(head + b"\r\n\r\n")
    return AccessLog(folder / "access.log").texts(2)


def check_fields(folder: Path, port: int) -> None:
    plain, odd = (json.loads(line) for line in lines(folder, port))
    assert [*plain] == ["status", "route", "user_agent", "target", "bytes_out"]
    assert [*plain.values()] == [204, "all", "curl/8", "/a?token=(secret)&b=1", 0]
    assert odd["user_agent"].startswith('x" 200')


def check_template(folder: Path, port: int) -> None:
    plain, odd = lines(folder, port)
    assert plain == '$204 "/a?token=(secret)&b=1" "curl/8" [all] -'
    assert odd.startswith('$204 "/a?token=(secret)&b=1" "x\\x22 200')
    assert odd.count('"') == 4


CHECKS = [(FIELDS, check_fields), (TEMPLATE, check_template)]


@pytest.mark.parametrize(("log", "check"), CHECKS)
def test_the_native_engine_lays_them_out(
    folder: Path, port: int, log: str, check: Callable[[Path, int], None]
) -> None:
    text = CONFIG.format(folder=folder, port=port, log=log)
    with RunningNode(folder, text.replace("[node]\n", '[node]\nadmin = "off"\n')).until_ready():
        check(folder, port)


@pytest.mark.parametrize(("log", "check"), CHECKS)
def test_nginx_lays_them_out(folder: Path, log: str, check: Callable[[Path, int], None]) -> None:
    peer("nginx")
    port = free_port()
    config = folder / "headgate.toml"
    text = CONFIG.format(folder=folder, port=port, log=log)
    config.write_text(text)
    with NginxEngine(config, folder):
        check(folder, port)


def test_nginx_refuses_what_it_knows_of_nobody(folder: Path) -> None:
    config = folder / "headgate.toml"
    config.write_text(CONFIG.format(folder=folder, port=free_port(), log=REFUSED))
    with pytest.raises(NotRenderedError) as refused, NginxEngine(config, folder):
        pass
    assert "access_log.fields[1]: nginx counts no tries" in str(refused.value)
