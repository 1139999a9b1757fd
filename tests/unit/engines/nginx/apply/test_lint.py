"""LINT on hand-written configs: what it finds, where, and what it leaves alone."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from waiting import DEADLINE_S, until
from written_conf import Write, codes, writer

from headgate.engines.nginx.apply import lint
from headgate.engines.nginx.apply.conftree import DiskFiles, read_conf

T = TypeVar("T")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return writer(tmp_path)


def test_problems_of_the_tree_are_told_with_their_place(write: Write) -> None:
    assert codes(lint.structure(write(site="# route a\nserver {"))) == [
        ("syntax", "http/site.conf", 2)
    ]
    missing = write("b", main="\ninclude none.conf;")
    assert codes(lint.structure(missing)) == [("syntax", "nginx.conf", 2)]


@pytest.mark.parametrize(
    ("one", "two", "is_found"),
    [
        ("listen 80; server_name a b;", "listen 80; server_name B c;", True),
        ("listen 80; server_name a;", "listen 81; server_name a;", False),
        ("listen 80; server_name a;", "listen 80; server_name b;", False),
        ("listen 80;", "listen 80;", True),
        ("listen 80; listen 81; server_name a;", "listen 81 ssl; server_name a;", True),
    ],
)
def test_a_name_twice_on_one_address(write: Write, one: str, two: str, is_found: bool) -> None:
    conf = write(one=f"server {{ {one} }}", two=f"\nserver {{ {two} }}")
    expected = [("duplicate_name", "http/two.conf", 2)] if is_found else []
    assert codes(lint.duplicate_names(conf)) == expected


def test_an_address_of_tcp_is_not_that_of_udp_nor_that_of_another_block(write: Write) -> None:
    conf = write(
        main="http { server { listen 53; } }\n"
        "stream { upstream u { server 10.0.0.1:53; } server { listen 53 udp; }"
        " server { listen 53; }\nserver { listen 53 udp reuseport; } }"
    )
    (found,) = lint.duplicate_names(conf)
    assert (found.file, found.line, found.is_error) == ("nginx.conf", 3, True)
    assert found.text == 'server name "" on udp:53 is taken by nginx.conf:2'


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (
            "limit_req_zone $a zone=z:1m rate=1r/s;",
            "limit_req_zone $b zone=z:1m rate=1r/s;",
            "zone_clash",
        ),
        ("limit_req_zone $a zone=z:1m rate=1r/s;", "limit_req_zone $a zone=z:1m rate=9r/s;", None),
        ("limit_req_zone $a zone=z:1m rate=1r/s;", "limit_req_zone $b zone=y:1m rate=1r/s;", None),
        ("limit_conn_zone $a zone=z:1m;", "limit_conn_zone $b zone=z:1m;", "zone_clash"),
        ("limit_conn_zone $a zone=z:1m;", "limit_conn_zone $a zone=z:2m;", "zone_resized"),
        (
            "proxy_cache_path /a keys_zone=z:1m;",
            "proxy_cache_path /b keys_zone=z:1m;",
            "zone_clash",
        ),
        (
            "proxy_cache_path /a levels=1:2 keys_zone=z:1m;",
            "proxy_cache_path /a levels=1 keys_zone=z:1m;",
            "zone_clash",
        ),
        (
            "proxy_cache_path /a keys_zone=z:1m;",
            "proxy_cache_path /a keys_zone=z:1m inactive=5m;",
            None,
        ),
    ],
)
def test_zones_against_those_that_run(
    write: Write, before: str, after: str, code: str | None
) -> None:
    found = lint.zones(write("a", z=after), write("b", z=before), {}, {})
    assert [one.code for one in found] == ([code] if code else [])


def test_a_zone_that_clashes_is_an_error_and_one_that_loses_its_counters_is_not(
    write: Write,
) -> None:
    before = "limit_conn_zone $a zone=clash:1m; limit_conn_zone $a zone=size:1m;"
    after = (
        "limit_conn_zone $a zone=new:1m;\nlimit_conn_zone $b zone=clash:1m;"
        "\nlimit_conn_zone $a zone=size:2m;"
    )
    found = list(lint.zones(write("a", z=after), write("b", z=before), {}, {}))
    assert [(one.line, one.text, one.is_error) for one in found] == [
        (
            2,
            'zone "clash" is for $b, but for $a in the running release: nginx would refuse the'
            " reload; give the zone another name",
            True,
        ),
        (3, 'zone "size" changes its size from 1m to 2m: its counters are lost', False),
    ]


def test_zones_as_the_renderer_tells_them(write: Write) -> None:
    found = list(lint.zones(write(), None, {"z": "a", "y": "b"}, {"z": "c", "x": "d"}))
    assert [one.code for one in found] == ["zone_clash"]
    assert '"z"' in found[0].text


def test_a_library_that_is_not_nginxs_own_is_refused_before_any_test(write: Write) -> None:
    conf = write(main="load_module modules/ngx_stream_module.so;\nload_module /tmp/evil.so;\n")
    found = list(lint.modules(conf, lambda value: value.startswith("modules/")))
    assert codes(iter(found)) == [("foreign_module", "nginx.conf", 2)]
    assert found[0].is_error
    assert "/tmp/evil.so" in found[0].text


def test_hosts_that_nginx_resolves_when_it_starts(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lint, "_RESOLVING_S", DEADLINE_S)
    text = """
upstream named { server one.example:80; server 10.0.0.1:80; server unix:/x; server [::1]:80;
    server later.example:80 resolve; }
server {
    location /a { proxy_pass http://named; }
    location /b { proxy_pass http://two.example:8080/path; }
    location /c { proxy_pass http://$host; }
    location /d { grpc_pass three.example:50051; }
    location /e { proxy_pass https://127.0.0.1:8443; }
}"""
    found = list(lint.hosts(write(site=text), lambda host: host != "two.example"))
    assert {(one.text.split('"')[1], one.code, one.is_error) for one in found} == {
        ("one.example", "resolved_at_start", False),
        ("two.example", "unresolvable", True),
        ("three.example", "resolved_at_start", False),
    }


def test_hosts_that_take_too_long_do_not_resolve_and_hold_nothing_up(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resolver asks for eight at once; those that wait behind them are never asked for."""
    monkeypatch.setattr(lint, "_RESOLVING_S", 0.001)
    asked: list[str] = []
    may_answer = threading.Event()
    before = set(threading.enumerate())

    class Begun(ThreadPoolExecutor):
        """Each thread asks before anybody waits for an answer."""

        def submit(self, fn: Callable[..., T], /, *args: object, **named: object) -> Future[T]:
            found = super().submit(fn, *args, **named)
            until(lambda: args[0] in asked or len(asked) == 8, "a question")
            return found

    monkeypatch.setattr(lint, "ThreadPoolExecutor", Begun)

    def resolve(host: str) -> bool:
        asked.append(host)
        return may_answer.wait(DEADLINE_S)

    servers = "".join(f"server {number}.example; " for number in range(10))
    (first, *rest) = lint.hosts(write(site=f"upstream u {{ {servers} }}"), resolve)
    assert not may_answer.is_set()
    assert first.text == '"0.example" does not resolve: nginx would not start with this release'
    assert [one.code for one in rest] == ["unresolvable"] * 9
    threads = [one for one in set(threading.enumerate()) - before if one.name[:7] == "resolve"]
    may_answer.set()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert len(asked) == len(threads) == 8


def test_a_host_resolves_once_the_system_has_an_address() -> None:
    assert lint.resolves("127.0.0.1") is True
    assert lint.resolves(f"{'a' * 64}.example") is False, "no label is that long"


def test_a_working_directory_that_is_missing(write: Write, tmp_path: Path) -> None:
    assert codes(lint.worker_start(write(main="working_directory /no/such;"))) == [
        ("worker_init", "nginx.conf", 1)
    ]
    there = write("b", main=f"working_directory {tmp_path};")
    assert codes(lint.worker_start(there)) == []


@pytest.mark.parametrize(
    ("text", "workers"),
    [("worker_processes 4;", 4), ("worker_processes auto;", None), ("", 1)],
)
def test_how_many_workers_there_will_be(write: Write, text: str, workers: int | None) -> None:
    assert write(main=text).workers() == workers


def test_a_config_of_others_is_read_as_it_will_be(write: Write, tmp_path: Path) -> None:
    write("current", site="server { listen 1; }")
    write("next", site="server { listen 2; }", other="server { listen 3; }")
    entry = tmp_path / "theirs.conf"
    entry.write_text(f"http {{ include {tmp_path}/current/http/*.conf; }}")
    files = DiskFiles(f"{tmp_path}/current", f"{tmp_path}/next")
    listens = [one.args[0] for one in read_conf(entry, files).all("listen")]
    assert sorted(listens) == ["2", "3"]
