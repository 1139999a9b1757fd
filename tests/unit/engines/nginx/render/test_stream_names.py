"""TLS by name on a real nginx: the route of every ClientHello is that of the native engine."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from nginx_engine import (
    NotRenderedError,
    expressed,
    loaded_file,
    stream_capabilities,
    target,
)
from ports import free_port
from stream_nginx import answered, hello, natively, served
from tcp_echo import Echo
from waiting import until

ROUTES = {
    "plain": 'client = ["127.0.0.3/32"]',
    "any": 'sni = "*"\nclient = ["127.0.0.0/30"]',
    "name": 'sni = ["a.example", "default"]',
    "near": 'sni = "a.example"\nclient = ["127.0.0.2/32"]',
    "wild": 'sni = ["*.example"]',
    "deep": 'sni = ["*.b.example", "only.example"]\nclient = ["127.0.0.2/32", "127.0.0.3/32"]',
}
NAMES = ["a.example", "A.example", "x.example", "x.y.example", "example", "b.example"]
NAMES += ["x.b.example", "only.example", "default", "other.test", ""]
SOURCES = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]


@pytest.fixture
def echoes() -> Iterator[dict[str, Echo]]:
    """A server for each route, which sends a letter of its own first."""
    every = {name: Echo(bytes((ord("a") + at,))) for at, name in enumerate(ROUTES)}
    yield every
    for one in every.values():
        one.close()


def config(port: int, echoes: dict[str, Echo]) -> str:
    """One listener with all routes, each to a server of its own."""
    parts = [f'[listeners.tls]\naddress = "127.0.0.1:{port}"\nprotocol = "tcp"\n']
    for name, conditions in ROUTES.items():
        route = f'[tcp_routes.{name}]\nlisteners = "tls"\nupstream = "{name}"\n{conditions}\n'
        endpoint = f'[upstreams.{name}]\nendpoints = ["127.0.0.1:{echoes[name].port}"]\n'
        parts += [route, endpoint]
    return "\n".join(parts)


def test_every_hello_goes_where_it_goes_natively(tmp_path: Path, echoes: dict[str, Echo]) -> None:
    port = free_port()
    letters = {"": b""} | {name: one.name for name, one in echoes.items()}
    with served(tmp_path, config(port, echoes)) as engine:
        for source in SOURCES:
            for name in NAMES:
                wanted = natively(engine, source, name)
                got = answered(port, hello(name), source, cut=len(name))
                assert got == letters[wanted], (source, name, wanted)


def test_what_is_no_hello_goes_nowhere_and_the_log_says_so(
    tmp_path: Path, echoes: dict[str, Echo]
) -> None:
    port = free_port()
    log = tmp_path / "asked.log"
    sink = f'[node]\naccess_log = {{ format = "json", sink = {{ path = "{log}" }} }}\n'
    with served(tmp_path, sink + config(port, echoes)):
        # Without a ClientHello the route of those without a name is not taken, either.
        assert answered(port, b"GET / HTTP/1.1\r\n\r\n", "127.0.0.3") == b""
        assert answered(port, hello("a.example"), "127.0.0.1") == echoes["name"].name
        odd = hello("a.example").replace(b"a.example", b"a.\xffxample")
        assert answered(port, odd, "127.0.0.1") == echoes["any"].name
        until(lambda: log.exists() and log.read_bytes().count(b"\n") == 3, "lines of the log")
        first, second, third = map(json.loads, log.read_text().splitlines())
    assert (first["reason"], first["route"], first["endpoint"]) == ("no-route", "", "")
    assert (second["reason"], second["route"], second["sni"]) == ("ended", "name", "a.example")
    assert (third["route"], third["sni"]) == ("any", "a.\ufffd")


@pytest.mark.parametrize(
    ("conditions", "without", "said"),
    [
        ('alpn = "h2"', "", "tcp_route one: alpn: "),
        ('sni = "a.example"', "stream_ssl_preread", "tcp_route one: sni: `stream` of this nginx"),
    ],
)
def test_what_nginx_cannot_do_is_refused(
    tmp_path: Path, conditions: str, without: str, said: str
) -> None:
    able = stream_capabilities()
    able = msgspec.structs.replace(able, accepted=able.accepted - {without})
    file = tmp_path / "headgate.toml"
    file.write_text(
        '[listeners.tls]\naddress = "127.0.0.1:1"\nprotocol = "tcp"\n'
        f'[tcp_routes.one]\nlisteners = "tls"\nupstream = "one"\n{conditions}\n'
        '[upstreams.one]\nendpoints = ["127.0.0.1:2"]\n'
    )
    with pytest.raises(NotRenderedError) as told:
        expressed(loaded_file(file), target(str(tmp_path), able))
    assert str(told.value).startswith(said)
