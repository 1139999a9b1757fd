"""Claims of verified tokens in access logs: escaped, bounded, and none of a refused token."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from access_log import AccessLog
from key_server import SigningKey, set_of
from nginx_engine import NginxEngine, NotRenderedError
from otlp_receiver import OtlpReceiver
from ports import free_port
from running_node import RunningNode
from waiting import until
from wire import Wire

CONFIG = """
[node]
admin = "off"
access_log = {{ {log} }}
redact_query = ["token"]

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[middlewares.token.jwt]
keys.file = "{folder}/keys.json"

[routes.members]
middlewares = ["token", {{ fault.delay = "1ms" }}]
respond = {{ status = 204 }}

[routes.open]
match = [{{ path.prefix = "/open" }}]
respond = {{ status = 204 }}
"""
PLAIN = """
[node]
access_log = {{ {log}, sink = {{ path = "{folder}/access.log" }} }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.open]
respond = {{ status = 204 }}
"""
KEY = SigningKey("one")
ROLES = "/realm/roles"
FIELDS = f'fields = ["status", "jwt:sub", "jwt:team", "jwt:{ROLES}"]'
TEMPLATE = f'template = \'${{status}} "${{jwt:sub}}" "${{jwt:team}}" "${{jwt:{ROLES}}}"\''


def config(folder: Path, port: int, log: str, sink: str = "") -> str:
    """A config with such a log, in a file of the folder unless a sink is given."""
    (folder / "keys.json").write_bytes(set_of([KEY]))
    where = sink or f'sink = {{ path = "{folder}/access.log" }}'
    return CONFIG.format(folder=folder, port=port, log=f"{log}, {where}")


def request(token: str = "", path: str = "/") -> bytes:
    """A request with a token, if there is one."""
    told = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: a.example\r\nSub: mallory\r\n{told}\r\n".encode()


def lines(folder: Path, port: int) -> list[str]:
    """What the log has of some requests, all on one connection; some of them twice, of which the
    second is let in by what is remembered of its token.
    """
    signed = KEY.token(sub="ann", team="/a?token=hunter2&b=1", realm={"roles": ["a", "b"]})
    odd = KEY.token(sub='x" 200\\ \N{LATIN SMALL LETTER E WITH ACUTE}', team="a" * 1_500)
    # The log alone names these claims: that they have no form as a line keeps nobody out.
    unfit = KEY.token(sub="two\nlines", team={"name": "a"}, realm=7)
    asked = [
        (request(signed), 204),
        (request(signed), 204),
        (request(odd), 204),
        (request(unfit), 204),
        (request(unfit), 204),
        (request(f"{signed}x"), 401),
        (request(), 401),
        (request(signed, "/open"), 204),
    ]
    with Wire(port) as wire:
        for head, status in asked:
            assert wire.ask(head).status == status
    found = AccessLog(folder / "access.log").texts(len(asked))
    assert len(found) == len(asked)
    assert "hunter2" not in "".join(found)
    return found


def check_fields(folder: Path, port: int) -> None:
    first, second, odd, unfit, again, *others = (json.loads(one) for one in lines(folder, port))
    team = "/a?token=(secret)&b=1"
    assert first == {"status": 204, "jwt:sub": "ann", "jwt:team": team, f"jwt:{ROLES}": "a,b"}
    assert second == first
    sub = 'x" 200\\ \N{LATIN SMALL LETTER E WITH ACUTE}'
    assert odd == {"status": 204, "jwt:sub": sub, "jwt:team": "a" * 1_024}
    assert unfit == again == {"status": 204}
    assert others == [{"status": 401}, {"status": 401}, {"status": 204}]


def check_template(folder: Path, port: int) -> None:
    first, second, odd, unfit, again, *others = lines(folder, port)
    assert first == second == '204 "ann" "/a?token=(secret)&b=1" "a,b"'
    assert odd == rf'204 "x\x22 200\x5C \xC3\xA9" "{"a" * 1_024}" "-"'
    assert unfit == again == '204 "-" "-" "-"'
    assert others == ['401 "-" "-" "-"', '401 "-" "-" "-"', '204 "-" "-" "-"']


@pytest.mark.parametrize(("log", "check"), [(FIELDS, check_fields), (TEMPLATE, check_template)])
def test_the_native_engine_logs_them(
    folder: Path, port: int, log: str, check: Callable[[Path, int], None]
) -> None:
    with RunningNode(folder, config(folder, port, log)).until_ready():
        check(folder, port)


def test_log_records_have_them(folder: Path, port: int) -> None:
    with OtlpReceiver() as collector:
        sink = f'sink = "off", otlp = {{ endpoint = "{collector.logs_endpoint}" }}'
        text = config(folder, port, FIELDS, sink)
        with RunningNode(folder, text).until_ready(), Wire(port) as wire:
            signed = KEY.token(sub='ann"\\', team="red")
            for head, status in [(request(signed), 204), (request(), 401)]:
                assert wire.ask(head).status == status
            one, other = collector.records(2)
    assert one.attributes == {
        "http.response.status_code": 204,
        "headgate.jwt.sub": 'ann"\\',
        "headgate.jwt.team": "red",
    }
    assert json.loads(one.body)["jwt:sub"] == 'ann"\\'
    assert other.attributes == {"http.response.status_code": 401}


def test_a_claim_comes_and_goes_without_a_restart(folder: Path, port: int) -> None:
    log = AccessLog(folder / "access.log")
    without, with_claim = 'fields = ["status"]', 'fields = ["status", "jwt:sub"]'
    signed = request(KEY.token(sub="ann"))
    with (
        RunningNode(folder, config(folder, port, without)).until_ready() as node,
        Wire(port) as wire,
    ):
        plane, asked = node.data_plane(), 0

        def last() -> object:
            nonlocal asked
            assert wire.ask(signed).status == 204
            asked += 1
            return json.loads(log.texts(asked)[-1])

        assert last() == {"status": 204}
        node.write(config(folder, port, with_claim))
        until(lambda: last() == {"status": 204, "jwt:sub": "ann"}, "the claim")
        node.write(config(folder, port, without))
        until(lambda: last() == {"status": 204}, "lines without the claim")
        assert node.data_plane() == plane


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (
            FIELDS,
            "access_log.fields[1]: nginx verifies no tokens, so there is no jwt:sub",
        ),
        (
            TEMPLATE,
            "access_log.template: nginx verifies no tokens, so ${jwt:sub} has no value there",
        ),
    ],
)
def test_nginx_refuses_them(folder: Path, log: str, said: str) -> None:
    path = folder / "headgate.toml"
    path.write_text(PLAIN.format(folder=folder, port=free_port(), log=log))
    with pytest.raises(NotRenderedError) as refused, NginxEngine(path, folder):
        pass
    assert said in str(refused.value)
