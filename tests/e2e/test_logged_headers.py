"""Request headers in access logs: escaped, bounded, without what strangers may not say."""

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
redact_query = ["token"]

[listeners.web]
address = "127.0.0.1:{port}"
default = true
{trust}

[routes.all]
respond = {{ status = 204 }}
"""
TRUSTED = 'client_ip = { trusted = ["127.0.0.1"] }'
NAMES = ("x-plan", "x-from", "x-client-cert")
FIELDS = f"fields = {['status', *(f'header:{name}' for name in NAMES)]}"
TEMPLATE = "template = '{}'".format(" ".join(f'"${{header:{name}}}"' for name in NAMES))
REQUESTS = (
    (b"X-Plan: gold\r\n", b"X-From: /a?b=1&token=hunter2&c=2\r\n", b"X-Client-Cert: me\r\n"),
    (),
    (b'X-Plan: x" 200\\ \xff\r\n', b"X-From: \xc3\xa9\r\n"),
    (b"X-Plan: " + b"a" * 1_500 + b"\r\n", b"X-From:\r\n"),
)


def lines(folder: Path, port: int) -> list[str]:
    """What the log has of the requests."""
    with Wire(port) as wire:
        for headers in REQUESTS:
            asked = b"GET / HTTP/1.1\r\nHost: a.example\r\n" + b"".join(headers) + b"\r\n"
            assert wire.ask(asked).status == 204
    found = AccessLog(folder / "access.log").texts(len(REQUESTS))
    assert "hunter2" not in "".join(found)
    return found


def check_fields(folder: Path, port: int, *, is_trusted: bool) -> None:
    plain, bare, odd, long = (json.loads(line) for line in lines(folder, port))
    assert (plain["header:x-plan"], plain["header:x-from"]) == (
        "gold",
        "/a?b=1&token=(secret)&c=2",
    )
    assert bool(plain.get("header:x-client-cert")) is is_trusted
    assert not any(bare.get(f"header:{name}") for name in NAMES)
    assert odd["header:x-plan"] == 'x" 200\\ \N{REPLACEMENT CHARACTER}'
    assert odd["header:x-from"] == "\N{LATIN SMALL LETTER E WITH ACUTE}"
    assert long["header:x-plan"] == "a" * 1_024
    assert not long.get("header:x-from")


def check_template(folder: Path, port: int, *, is_trusted: bool) -> None:
    plain, bare, odd, long = lines(folder, port)
    client = "me" if is_trusted else "-"
    assert plain == f'"gold" "/a?b=1&token=(secret)&c=2" "{client}"'
    assert bare == '"-" "-" "-"'
    assert odd == r'"x\x22 200\x5C \xFF" "\xC3\xA9" "-"'
    assert long == f'"{"a" * 1_024}" "-" "-"'


CHECKS = [(FIELDS, check_fields), (TEMPLATE, check_template)]


@pytest.mark.parametrize("is_trusted", [True, False])
@pytest.mark.parametrize(("log", "check"), CHECKS)
def test_the_native_engine_logs_them(
    folder: Path, port: int, log: str, check: Callable[..., None], *, is_trusted: bool
) -> None:
    trust = TRUSTED if is_trusted else ""
    text = CONFIG.format(folder=folder, port=port, log=log, trust=trust)
    with RunningNode(folder, text.replace("[node]\n", '[node]\nadmin = "off"\n')).until_ready():
        check(folder, port, is_trusted=is_trusted)


@pytest.mark.parametrize("is_trusted", [True, False])
@pytest.mark.parametrize(("log", "check"), CHECKS)
def test_nginx_logs_them(
    folder: Path, log: str, check: Callable[..., None], *, is_trusted: bool
) -> None:
    peer("nginx")
    port = free_port()
    config = folder / "headgate.toml"
    trust = TRUSTED if is_trusted else ""
    config.write_text(CONFIG.format(folder=folder, port=port, log=log, trust=trust))
    with NginxEngine(config, folder):
        check(folder, port, is_trusted=is_trusted)


def test_nginx_refuses_a_name_that_it_never_passes_on(folder: Path) -> None:
    config = folder / "headgate.toml"
    log = "template = '${header:x.a}'"
    config.write_text(CONFIG.format(folder=folder, port=free_port(), log=log, trust=""))
    with pytest.raises(NotRenderedError) as refused, NginxEngine(config, folder):
        pass
    assert "access_log.template: header:x.a: nginx drops request headers" in str(refused.value)
