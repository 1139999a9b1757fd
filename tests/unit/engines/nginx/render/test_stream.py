"""TCP on a real nginx: which route takes a connection, how it ends, what is refused and why."""

import json
import socket
import time
from collections import Counter
from pathlib import Path

import pytest
from chance import likely
from cut_off import heard
from nginx_engine import (
    NginxEngine,
)
from ports import dead_port, free_port
from stream_nginx import refused, served
from tcp_echo import Echo, talk
from waiting import DEADLINE_S, until

pytestmark = pytest.mark.usefixtures("has_stream")

LISTENER = """
[listeners.raw]
address = "127.0.0.1:{port}"
protocol = "tcp"
"""
ROUTED = """
[tcp_routes.raw]
listeners = "raw"
upstream = "raw"
{route}
[upstreams.raw]
endpoints = [{endpoints}]
{upstream}
"""


def raw(port: int, endpoints: str, *, route: str = "", upstream: str = "") -> str:
    """A config with one route."""
    routed = ROUTED.format(endpoints=endpoints, route=route, upstream=upstream)
    return LISTENER.format(port=port) + routed


def at(*echoes: Echo) -> str:
    """The endpoints of servers, as the config has them."""
    return ", ".join(f'"127.0.0.1:{one.port}"' for one in echoes)


def test_bytes_pass_both_ways_and_ends_pass_on(
    tmp_path: Path, port: int, echoes: list[Echo]
) -> None:
    with served(tmp_path, raw(port, at(*echoes))):
        # The server speaks first; the client ends its half, then everything comes back.
        names = {talk(port, b"x" * 3_000_000) for _ in range(4)}
        assert names == {b"a", b"b"}


SPLIT = """
[tcp_routes.raw]
listeners = "raw"
split = [
    {{ upstream = "old", weight = 3 }}, {{ upstream = "new" }}, {{ upstream = "idle", weight = 0 }}
]
{sticky}
[upstreams.old]
endpoints = [{old}]
{of_old}
[upstreams.new]
endpoints = [{new}]
[upstreams.idle]
endpoints = ["127.0.0.1:1"]
"""


def split(port: int, old: str, new: str, sticky: str = "", of_old: str = "") -> str:
    """A config with one route to two upstreams."""
    return LISTENER.format(port=port) + SPLIT.format(old=old, new=new, sticky=sticky, of_old=of_old)


def logged(engine: NginxEngine) -> Counter[str]:
    """How many connections each upstream had, by the engine's own log."""
    log = Path(engine.target.access_log)
    text = log.read_text() if log.exists() else ""
    whole = text[: text.rfind("\n") + 1]  # the last line may be at work
    return Counter(json.loads(one)["upstream"] for one in whole.splitlines())


def test_connections_are_split_by_weight(tmp_path: Path, port: int, echoes: list[Echo]) -> None:
    with served(tmp_path, split(port, at(echoes[0]), at(echoes[1]))) as engine:
        drawn = [talk(port, b"x") for _ in range(120)]
        assert drawn.count(b"b") in likely(120, 0.25)
        until(lambda: sum(logged(engine).values()) == len(drawn), "all are logged")
        assert logged(engine) == {"old": drawn.count(b"a"), "new": drawn.count(b"b")}


def test_a_client_stays_at_its_branch(tmp_path: Path, port: int, echoes: list[Echo]) -> None:
    clients = [f"127.0.1.{n}" for n in range(1, 61)]
    text = split(port, at(echoes[0]), at(echoes[1]), 'sticky = { by = "client_ip" }')
    with served(tmp_path, text):
        first = {one: talk(port, b"x", source=one) for one in clients}
        assert set(first.values()) == {b"a", b"b"}
        assert {one: talk(port, b"x", source=one) for one in clients} == first


def test_upstreams_of_a_split_must_agree(tmp_path: Path, port: int) -> None:
    text = split(port, '"127.0.0.1:1"', '"127.0.0.1:2"', of_old='timeouts = { connect = "1s" }')
    told = refused(tmp_path, text)
    assert "split[1].upstream: its `timeouts.connect`: nginx has one" in told


def test_the_next_endpoint_is_tried_when_one_cannot_be_connected_to(
    tmp_path: Path, port: int, echoes: list[Echo]
) -> None:
    with dead_port() as dead:
        text = raw(port, f'"127.0.0.1:{dead}", {at(echoes[1])}')
        with served(tmp_path, text):
            assert {talk(port, b"1") for _ in range(6)} == {b"b"}


def test_a_backup_takes_connections_when_the_others_cannot(
    tmp_path: Path, port: int, echoes: list[Echo]
) -> None:
    backup = f"{{ address = {at(echoes[1])}, backup = true }}"
    with served(tmp_path, raw(port, f"{at(echoes[0])}, {backup}")):
        assert {talk(port, b"1") for _ in range(4)} == {b"a"}
        echoes[0].close()
        assert {talk(port, b"1") for _ in range(4)} == {b"b"}


@pytest.mark.parametrize(
    "balance",
    ['"least_conn"', '"random"', '"p2c"', '{ ring_hash.key = "client_ip" }'],
)
def test_every_balancer_finds_an_endpoint(
    tmp_path: Path, port: int, echoes: list[Echo], balance: str
) -> None:
    with served(tmp_path, raw(port, at(*echoes), upstream=f"balance = {balance}")):
        assert {talk(port, b"1") for _ in range(6)} <= {b"a", b"b"}


def test_the_narrowest_network_around_a_client_decides(
    tmp_path: Path, port: int, echoes: list[Echo]
) -> None:
    text = f"""
{LISTENER.format(port=port)}
[tcp_routes.every]
listeners = "raw"
client = ["0.0.0.0/0", "::/0"]
upstream = "a"

[tcp_routes.near]
listeners = "raw"
client = ["127.0.0.0/8"]
upstream = "a"

[tcp_routes.nearest]
listeners = "raw"
client = ["127.0.0.2/32"]
upstream = "b"

[upstreams.a]
endpoints = [{at(echoes[0])}]

[upstreams.b]
endpoints = [{at(echoes[1])}]
"""
    with served(tmp_path, text):
        assert talk(port, b"1") == b"a"
        assert talk(port, b"1", source="127.0.0.2") == b"b"


def line(engine: NginxEngine) -> dict[str, str]:
    """The first line of the engine's own log."""
    log = Path(engine.target.access_log)
    until(lambda: log.exists() and b"\n" in log.read_bytes(), "a line of the log")
    found = json.loads(log.read_text().splitlines()[0])
    assert isinstance(found, dict)
    return found


def gets_nothing(port: int) -> None:
    """Connects, and is left without a byte."""
    assert heard(port) == b""


def test_a_client_that_no_route_takes_gets_nothing(
    tmp_path: Path, port: int, echoes: list[Echo]
) -> None:
    text = raw(port, at(*echoes), route='client = ["192.0.2.0/24"]')
    with served(tmp_path, text) as engine:
        gets_nothing(port)
        told = line(engine)
        assert (told["tcp"], told["listener"], told["route"]) == ("no-route", "raw", "")


def test_a_listener_without_routes_takes_nobody(tmp_path: Path, port: int) -> None:
    with served(tmp_path, LISTENER.format(port=port)) as engine:
        gets_nothing(port)
        assert line(engine)["tcp"] == "no-route"


def test_an_upstream_without_endpoints_that_take_anything_ends_connections(
    tmp_path: Path, port: int
) -> None:
    text = raw(port, '{ address = "127.0.0.1:1", weight = 0 }')
    with served(tmp_path, text) as engine:
        gets_nothing(port)
        told = line(engine)
        assert (told["tcp"], told["upstream"]) == ("no-endpoint", "raw")


def test_a_limit_of_connections_holds(tmp_path: Path, port: int, echoes: list[Echo]) -> None:
    text = raw(port, at(*echoes)).replace("[tcp_routes", "limits.connections = 1\n[tcp_routes", 1)
    with (
        served(tmp_path, text) as engine,
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as first,
    ):
        assert first.recv(1) in {b"a", b"b"}
        gets_nothing(port)
        assert line(engine)["tcp"] == "connection-limit"
        first.sendall(b"still")
        assert first.recv(5) == b"still"


def test_the_log_of_the_config_has_the_keys_of_our_own_engine(
    tmp_path: Path, port: int, echoes: list[Echo]
) -> None:
    log = tmp_path / "asked.log"
    sink = f'[node]\naccess_log = {{ format = "json", sink = {{ path = "{log}" }} }}\n'
    with served(tmp_path, sink + raw(port, at(echoes[0]))):
        talk(port, b"hello")
        until(lambda: log.exists() and b"\n" in log.read_bytes(), "a line of the log")
        told = json.loads(log.read_text())
    assert (told["client_ip"], told["protocol"]) == ("127.0.0.1", "tcp")
    assert (told["listener"], told["route"], told["upstream"]) == ("raw", "raw", "raw")
    assert (told["endpoint"], told["reason"]) == (f"127.0.0.1:{echoes[0].port}", "ended")
    assert (told["bytes_in"], told["bytes_out"]) == (5, 6)
    assert told["client_port"] > 0 and told["connect_us"] >= 0 and told["total_us"] >= 0


def test_one_upstream_serves_http_and_tcp(tmp_path: Path, port: int) -> None:
    web = free_port()
    text = raw(port, '"127.0.0.1:1", "127.0.0.1:2"') + (
        f'[listeners.web]\naddress = "127.0.0.1:{web}"\ndefault = true\n'
        '[routes.all]\nhosts = ["*"]\nupstream = "raw"\n'
    )
    with served(tmp_path, text) as engine:
        texts = {one.path: one.content for one in engine.rendered.files}
        assert b"upstream hg_up_raw" in texts["upstreams.conf"]
        assert b"upstream hg_up_raw" in texts["stream.conf"]


def test_an_nginx_without_stream_is_told_which_package_brings_it(tmp_path: Path) -> None:
    said = refused(tmp_path, raw(5000, '"127.0.0.1:1"'), without="stream")
    assert said == (
        "listener raw: protocol: this nginx has no `stream`: install its module (Debian: "
        "libnginx-mod-stream, Fedora: nginx-mod-stream)"
    )


def test_an_nginx_that_would_lose_the_second_half_is_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, raw(5000, '"127.0.0.1:1"'), without="stream_half_close")
    assert said == "listener raw: protocol: `stream` of this nginx has no proxy_half_close"


def test_a_guest_has_no_stream(tmp_path: Path) -> None:
    said = refused(tmp_path, raw(5000, '"127.0.0.1:1"'), mode="guest")
    assert "listener raw: protocol: a foreign nginx.conf includes" in said


@pytest.mark.parametrize(
    ("route", "upstream", "said"),
    [
        ('timeouts = { lifetime = "1h" }', "", "tcp_route raw: timeouts.lifetime: "),
        ('timeouts = { half_open = "2m" }', "", "tcp_route raw: timeouts.half_open: "),
        ("", 'slow_start = "5s"', "upstream raw: slow_start: "),
        (
            'bandwidth = { download = "1MB/s", key = "all" }',
            "",
            "tcp_route raw: bandwidth.key: ",
        ),
        (
            'bandwidth = { download = "1MB/s", burst = "2MB" }',
            "",
            "tcp_route raw: bandwidth.burst: ",
        ),
    ],
)
def test_what_nginx_cannot_do_is_refused_by_its_place(
    tmp_path: Path, route: str, upstream: str, said: str
) -> None:
    text = raw(5000, '"127.0.0.1:1"', route=route, upstream=upstream)
    assert refused(tmp_path, text).startswith(said)


def test_bytes_pass_as_quickly_as_the_route_says(
    tmp_path: Path, port: int, echoes: list[Echo]
) -> None:
    limit = 'bandwidth = { download = "100kB/s", upload = "50MB/s" }'
    with served(tmp_path, raw(port, at(echoes[0]), route=limit)):
        begun = time.monotonic()
        assert talk(port, b"x" * 300_000) == b"a"
        # The bytes of a second pass at once.
        assert time.monotonic() - begun >= 1.0


def test_routes_of_a_listener_agree_in_their_timeouts(tmp_path: Path) -> None:
    other = """
[tcp_routes.some]
listeners = "raw"
client = ["10.0.0.0/8"]
upstream = "some"
timeouts = { idle = "5m" }
bandwidth = { upload = "1MB/s" }

[upstreams.some]
endpoints = ["127.0.0.1:1"]
timeouts = { connect = "1s" }
"""
    said = refused(tmp_path, raw(5000, '"127.0.0.1:1"') + other)
    shared = "nginx has one for all routes of listener raw, and raw has another"
    assert said == (
        f"tcp_route some: bandwidth: {shared}; "
        f"tcp_route some: timeouts.idle: {shared}; "
        f"tcp_route some: upstream: its `timeouts.connect`: {shared}"
    )
