"""UDP routes: what they become, and every way in which one cannot work, with its place."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import ObjectKey
from headgate.plan.tcp import TcpBandwidth
from headgate.plan.udp import UdpRoute

BASE = """\
[listeners.web]
address = "127.0.0.1:53"
[listeners.dns]
address = "127.0.0.1:53"
protocol = "udp"
[upstreams.dns]
endpoints = ["127.0.0.1:5353"]
[udp_routes.dns]
listeners = "dns"
upstream = "dns"
"""


def loaded(text: str) -> Loaded:
    files = MemoryFiles({"main.toml": text})
    return load([PurePath("main.toml")], files, {})


def messages(text: str) -> list[str]:
    return [str(one) for one in loaded(text).diagnostics]


def route(text: str) -> UdpRoute:
    plan = loaded(text).plan
    assert plan is not None, messages(text)
    value = plan.objects[ObjectKey("udp_route", ObjectName("dns"))].value
    assert isinstance(value, UdpRoute)
    return value


def test_a_route_has_the_cores_defaults_and_every_key() -> None:
    assert route(BASE) == UdpRoute(listeners=("dns",), upstream="dns")
    more = 'client = ["10.0.0.0/8", "192.0.2.7"]\nbalance_by = "datagram"\nanswers = 2\n'
    more += 'timeouts = { idle = "10s" }\n'
    assert route(BASE + more) == UdpRoute(
        listeners=("dns",),
        upstream="dns",
        client=("10.0.0.0/8", "192.0.2.7/32"),
        balance_by="datagram",
        answers=2,
        idle_ms=10_000,
    )


def test_a_limit_of_bytes_is_of_flows_clients_or_the_route() -> None:
    assert route(BASE + 'bandwidth = { upload = "1MB/s" }\n').bandwidth == TcpBandwidth(
        upload=1_000_000, upload_burst=1_000_000
    )
    shared = 'bandwidth = { download = "2MB/s", burst = "64KiB", key = "client_ip" }\n'
    assert route(BASE + shared).bandwidth == TcpBandwidth(
        download=2_000_000, download_burst=65_536, key="client_ip"
    )
    (nothing,) = messages(BASE + 'bandwidth = { key = "flow" }\n')
    assert "it limits neither direction" in nothing
    (unknown,) = messages(BASE + 'bandwidth = { upload = "1MB/s", key = "connection" }\n')
    assert '"flow"' in unknown


def test_a_port_of_udp_is_not_that_of_tcp() -> None:
    assert messages(BASE) == []
    other = '[listeners.more]\naddress = "127.0.0.1:53"\nprotocol = "udp"\n'
    assert messages(BASE + other) == [
        'main.toml:12:11: listeners.more.address[0]: listener "dns" already has the address '
        '"127.0.0.1:53/udp"; write another address or port'
    ]


def with_upstream(line: str) -> str:
    return BASE.replace("[udp_routes.dns]", f"{line}\n[udp_routes.dns]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            BASE.replace('listeners = "dns"', 'listeners = ["dns", "web"]'),
            'main.toml:9:13: udp_routes.dns.listeners: listener "web" has protocol = "http"; name '
            'listeners with protocol = "udp": "dns"',
        ),
        (
            BASE + '[routes.all]\nlisteners = "dns"\nupstream = "dns"\n',
            'main.toml:12:13: routes.all.listeners: listener "dns" has protocol = "udp"; name '
            'listeners with protocol = "http": "web"',
        ),
        (
            BASE + '[tcp_routes.all]\nlisteners = "dns"\nupstream = "dns"\n',
            'main.toml:12:13: tcp_routes.all.listeners: listener "dns" has protocol = "udp"; name '
            'listeners with protocol = "tcp"',
        ),
        (
            BASE.replace('upstream = "dns"', 'upstream = "dsn"'),
            'main.toml:10:12: udp_routes.dns.upstream: there is no upstream "dsn"; write "dns", '
            "or define [upstreams.dsn]",
        ),
        (
            BASE + '[udp_routes.other]\nlisteners = "dns"\nupstream = "dns"\n',
            'main.toml:11:13: udp_routes.other: UDP route "dns" takes all other clients on '
            'listener "dns"; write other networks as `client`, or other names as `sni`',
        ),
        (
            with_upstream("tls = {}"),
            'main.toml:11:12: udp_routes.dns.upstream: upstream "dns" has `tls`, which datagrams '
            "do not have; name one without `tls`",
        ),
        (
            with_upstream('proxy_protocol = "v1"'),
            'main.toml:11:12: udp_routes.dns.upstream: upstream "dns" has proxy_protocol = "v1", '
            'which cannot tell of datagrams; name one with proxy_protocol = "v2", or without it',
        ),
        (
            with_upstream('protocol = "h2c"'),
            'main.toml:11:12: udp_routes.dns.upstream: upstream "dns" has protocol = "h2c"; name '
            "one without `protocol`",
        ),
        (
            BASE.replace('"127.0.0.1:5353"', '"unix:/run/dns.sock"'),
            'main.toml:10:12: udp_routes.dns.upstream: upstream "dns" has the endpoint '
            '"unix:/run/dns.sock", which takes no datagrams; name one whose endpoints have an '
            "address and port",
        ),
        (
            with_upstream('balance = { maglev = { key = "path" } }'),
            'main.toml:11:12: udp_routes.dns.upstream: upstream "dns" is balanced by "path", which '
            'a datagram does not have; name one that is balanced by "client_ip"',
        ),
        (
            BASE.replace('protocol = "udp"\n', 'protocol = "udp"\nbacklog = 9\n'),
            'main.toml:6:11: listeners.dns.backlog: a listener with protocol = "udp" has no '
            "`backlog`; leave `backlog` out",
        ),
        (
            BASE.replace('protocol = "udp"\n', 'protocol = "udp"\nlimits = { connections = 9 }\n'),
            'main.toml:6:26: listeners.dns.limits.connections: a listener with protocol = "udp" '
            "has no `limits.connections`; leave `connections` out",
        ),
        (
            BASE.replace("[listeners.dns]", "limits = { flows = 9 }\n[listeners.dns]"),
            'main.toml:3:20: listeners.web.limits.flows: a listener with protocol = "http" has no '
            "`limits.flows`; leave `flows` out",
        ),
    ],
)
def test_what_cannot_work_is_told_with_its_place(text: str, message: str) -> None:
    assert messages(text) == [message]


def test_headers_in_front_of_datagrams_are_read_and_told() -> None:
    told = with_upstream('proxy_protocol = "v2"')
    proxied = 'protocol = "udp"\nproxy_protocol = { trusted = ["10.0.0.0/8"], mode = "optional" }\n'
    assert messages(told.replace('protocol = "udp"\n', proxied)) == []
    late = proxied.replace("mode =", 'timeout = "1s", mode =')
    assert messages(BASE.replace('protocol = "udp"\n', late)) == [
        'main.toml:6:56: listeners.dns.proxy_protocol.timeout: a listener with protocol = "udp" '
        "has no `proxy_protocol.timeout`; leave `timeout` out"
    ]


def test_names_tell_routes_apart() -> None:
    named = BASE + '[udp_routes.quic]\nlisteners = "dns"\nupstream = "dns"\n'
    assert messages(named + 'sni = "a.example"\n') == []
    assert route(BASE + 'sni = ["B.example.", "*.a.example", "b.example"]\n').sni == (
        "*.a.example",
        "b.example",
    )
    twice = named + 'sni = ["a.example", "b.example"]\n'
    twice += '[udp_routes.same]\nlisteners = "dns"\nupstream = "dns"\nsni = "a.example"\n'
    assert messages(twice) == [
        'main.toml:18:7: udp_routes.same.sni: UDP route "quic" takes all other clients that ask '
        'for "a.example" on listener "dns"; write other networks as `client`, or other names as '
        "`sni`"
    ]


@pytest.mark.parametrize("key", ["answers = 1", 'balance_by = "datagram"'])
def test_what_breaks_quic_is_refused_beside_a_name(key: str) -> None:
    name = key.partition(" ")[0]
    assert messages(f'{BASE}sni = "a.example"\n{key}\n') == [
        f"main.toml:12:{len(name) + 4}: udp_routes.dns.{name}: a route with `sni` takes QUIC "
        f"connections, which `{name}` would break; leave `{name}` out, or `sni`"
    ]


def test_answers_and_idle_time_have_bounds() -> None:
    for more in ("answers = 0\n", 'timeouts = { idle = "off" }\n', 'balance_by = "packet"\n'):
        assert len(messages(BASE + more)) == 1, more
