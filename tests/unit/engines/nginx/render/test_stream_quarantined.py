"""Quarantined TCP and UDP routes on a real nginx: what they would take is closed, as natively."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from datagram_servers import Echo as DatagramEcho
from nginx_engine import NginxEngine, NotRenderedError, expressed, stream_capabilities, target
from ports import free_port
from quarantining import Provider, forms
from stream_nginx import answered, hello, natively
from tcp_echo import Echo
from waiting import DEADLINE_S, until

from headgate.compile.closed import is_closed
from headgate.compile.loaded import Loaded
from headgate.fleet.manifest import Json

pytestmark = pytest.mark.usefixtures("has_stream")

BROKEN = {"no-such-key": 1}
ROUTES: dict[str, Json] = {
    "a": {"sni": "first.example", **BROKEN},
    "any": {"sni": "*", "client": "127.0.0.0/30"},
    "far": {"sni": "*.example"},
    "gone": {"sni": ["a.example", "*.b.example"], "client": "127.0.0.2/32", **BROKEN},
    "keep": {"client": "127.0.0.4/32"},
    "last": {"client": "127.0.0.4/32", **BROKEN},
    "late": {"sni": "late.example", **BROKEN},
    "name": {"sni": "a.example"},
    "none": {"client": "127.0.0.3/32", **BROKEN},
    "rest": {},
    # What "name" takes, too, as "last" does of "keep": the first one has it.
    "same": {"sni": ["a.example", "same.example"], **BROKEN},
}
NAMES = [
    "first.example",
    "a.example",
    "x.b.example",
    "late.example",
    "x.example",
    "same.example",
    "other.test",
    "",
]
SOURCES = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]
WAYS: Json = {"timeouts": {"idle": "70s"}, "bandwidth": {"download": "1MB/s"}}
"""What all routes of a listener have to share with nginx; closed ones have none of it."""


@pytest.fixture
def echoes() -> Iterator[dict[str, Echo]]:
    """A server for each route, which sends a letter of its own first."""
    every = {name: Echo(bytes((ord("a") + at,))) for at, name in enumerate(ROUTES)}
    yield every
    for one in every.values():
        one.close()


def of_all(engine: NginxEngine, *lines: str) -> bool:
    """Whether the server of a listener has these lines, which its open routes share."""
    text = (engine.folder / "stream.conf").read_text()
    return all(line in text for line in lines)


def is_shut(loaded: Loaded, kind: str, name: str) -> bool:
    assert loaded.plan is not None
    return any(is_closed(e) for k, e in loaded.plan.objects.items() if k == (kind, name))


def test_every_hello_goes_where_it_goes_natively_or_nowhere(
    tmp_path: Path, echoes: dict[str, Echo]
) -> None:
    tmp_path.chmod(0o755)
    port = free_port()
    resources: dict[tuple[str, str], Json] = {
        ("listeners", "tls"): {"address": f"127.0.0.1:{port}", "protocol": "tcp"}
    }
    for name, spec in ROUTES.items():
        resources["tcp_routes", name] = {"listeners": "tls", "upstream": name, **WAYS, **spec}
        resources["upstreams", name] = {
            "endpoints": [f"127.0.0.1:{echoes[name].port}"],
            "timeouts": {"connect": "3s"},
        }
    loaded = Provider().load(resources)
    shut = {"a", "gone", "late", "none", "same"}
    assert set(forms(loaded)) == {*shut, "last"}
    seen = set()
    with NginxEngine(loaded, tmp_path) as engine:
        assert of_all(engine, "proxy_timeout 70s;", "proxy_connect_timeout 3s;")
        for source in SOURCES:
            for name in NAMES:
                wanted = natively(engine, source, name)
                got = answered(port, hello(name), source, cut=len(name))
                is_open = wanted and not is_shut(loaded, "tcp_route", wanted)
                assert got == (echoes[wanted].name if is_open else b""), (source, name, wanted)
                seen.add(wanted)
        log = Path(engine.target.access_log)
        lines = len(SOURCES) * len(NAMES)
        until(lambda: log.read_text().count("\n") == lines, "the lines of the log")
        told = [json.loads(line) for line in log.read_text().splitlines()]
    assert shut <= seen, "each of them took something"
    reasons = {one["tcp"] for one in told if one["route"] in shut}
    assert reasons == {"no-endpoint"}


def test_a_datagram_for_a_closed_route_is_dropped_and_counted(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    port, echo = free_port(), DatagramEcho(b"far ")
    endpoints: Json = {"endpoints": [f"127.0.0.1:{echo.port}"]}
    ways: Json = {"timeouts": {"idle": "70s"}, "answers": 1}
    near = {"listeners": "dns", "upstream": "app", "client": "127.0.0.2/32", **ways, **BROKEN}
    resources: dict[tuple[str, str], Json] = {
        ("listeners", "dns"): {"address": f"127.0.0.1:{port}", "protocol": "udp"},
        ("upstreams", "app"): endpoints,
        ("udp_routes", "far"): {"listeners": "dns", "upstream": "app", **ways},
        ("udp_routes", "a-near"): near,
    }
    loaded = Provider().load(resources)
    assert forms(loaded) == {"a-near": "closed"}
    with NginxEngine(loaded, tmp_path) as engine:
        assert of_all(engine, "proxy_timeout 70s;", "proxy_responses 1;")
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as shut,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as open_,
        ):
            for one, source in ((shut, "127.0.0.2"), (open_, "127.0.0.1")):
                one.settimeout(DEADLINE_S)
                one.bind((source, 0))
                one.connect(("127.0.0.1", port))
                one.send(b"?")
            assert open_.recv(9) == b"far ?"
            log = Path(engine.target.access_log)
            until(lambda: log.exists() and '"a-near"' in log.read_text(), "a line of the log")
            shut.setblocking(False)
            with pytest.raises(BlockingIOError):
                shut.recv(9)
        told = [json.loads(line) for line in log.read_text().splitlines()]
    assert {one["udp"] for one in told if one["route"] == "a-near"} == {"no-endpoint"}
    echo.close()


@pytest.mark.parametrize(
    ("section", "spec", "said"),
    [
        ("udp_routes", {"sni": "a.example"}, "udp_route shut: sni: nginx reads no QUIC"),
        ("tcp_routes", {"alpn": "h2"}, "tcp_route shut: alpn: a map of nginx does not know"),
    ],
)
def test_a_place_that_nginx_cannot_match_is_refused_closed_as_well(
    tmp_path: Path, section: str, spec: Json, said: str
) -> None:
    """Its name is known, so that the agent refuses the whole revision."""
    protocol = section.partition("_")[0]
    resources: dict[tuple[str, str], Json] = {
        ("listeners", "raw"): {"address": "127.0.0.1:1", "protocol": protocol},
        ("upstreams", "app"): {"endpoints": ["127.0.0.1:2"]},
        (section, "rest"): {"listeners": "raw", "upstream": "app"},
        (section, "shut"): {"listeners": "raw", "upstream": "app", **spec, **BROKEN},
    }
    loaded = Provider().load(resources)
    assert forms(loaded) == {"shut": "closed"}
    with pytest.raises(NotRenderedError) as told:
        expressed(loaded, target(str(tmp_path), stream_capabilities()))
    assert said in str(told.value)
