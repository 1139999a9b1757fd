"""TCP routes: what they become, and every way in which one cannot work, with its place."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.lints import lints
from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import (
    Listener,
    ListenerTls,
    ProxyProtocol,
    SplitPart,
    Sticky,
    Upstream,
    UpstreamTls,
)
from headgate.plan.tcp import TcpBandwidth, TcpRoute, TcpTimeouts

BASE = """\
[listeners.web]
address = "127.0.0.1:8000"
[listeners.pg]
address = "127.0.0.1:5432"
protocol = "tcp"
[upstreams.pg]
endpoints = ["127.0.0.1:5433"]
[tcp_routes.pg]
listeners = "pg"
upstream = "pg"
"""


def loaded(text: str) -> Loaded:
    files = MemoryFiles({"main.toml": text})
    return load([PurePath("main.toml")], files, {})


def messages(text: str) -> list[str]:
    return [str(one) for one in loaded(text).diagnostics]


def route(text: str) -> TcpRoute:
    plan = loaded(text).plan
    assert plan is not None, messages(text)
    value = plan.objects[ObjectKey("tcp_route", ObjectName("pg"))].value
    assert isinstance(value, TcpRoute)
    return value


def test_a_route_has_the_cores_defaults_and_every_key() -> None:
    assert route(BASE) == TcpRoute(listeners=("pg",), upstream="pg")
    more = 'client = ["10.0.0.0/8", "192.0.2.7"]\n'
    more += 'sni = ["*.Example.com", "a.example"]\nalpn = "h2"\n'
    more += 'timeouts = { idle = "10s", half_open = "off", lifetime = "1h" }\n'
    assert route(BASE + more) == TcpRoute(
        listeners=("pg",),
        upstream="pg",
        client=("10.0.0.0/8", "192.0.2.7/32"),
        sni=("*.example.com", "a.example"),
        alpn=("h2",),
        timeouts=TcpTimeouts(idle_ms=10_000, half_open_ms=0, lifetime_ms=3_600_000),
    )
    limit = 'bandwidth = { download = "2MiB/s", upload = "500kB/s", burst = "64KiB" }\n'
    assert route(BASE + limit).bandwidth == TcpBandwidth(
        download=2 << 20, download_burst=64 << 10, upload=500_000, upload_burst=64 << 10
    )
    limit = 'bandwidth = { download = "1kB/s", key = "client_ip", ipv6_prefix = 48 }\n'
    assert route(BASE + limit).bandwidth == TcpBandwidth(
        download=1_000, download_burst=1_000, key="client_ip", ipv6_prefix=48
    )


SPLIT = BASE.replace(
    'upstream = "pg"\n', 'split = [{ upstream = "pg", weight = 9 }, { upstream = "new" }]\n'
).replace("[tcp_routes", '[upstreams.new]\nendpoints = ["127.0.0.1:5434"]\n[tcp_routes')


def test_a_route_may_split_its_connections() -> None:
    parts = (SplitPart("pg", 9), SplitPart("new", 1))
    made = route(SPLIT)
    assert (made.upstream, made.split, made.sticky, made.parts) == (None, parts, None, parts)
    assert route(SPLIT + 'sticky = { by = "client_ip" }\n').sticky == Sticky(by=("client_ip",))
    assert route(BASE).parts == (SplitPart("pg"),)
    assert not [one for one in lints(loaded(SPLIT)) if "upstream" in str(one)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            SPLIT.replace('{ upstream = "new" }', '{ upstream = "newer" }'),
            'main.toml:12:56: tcp_routes.pg.split[1].upstream: there is no upstream "newer"; '
            'write "new", or define [upstreams.newer]',
        ),
        (
            SPLIT + 'upstream = "pg"\n',
            'main.toml:10:1: tcp_routes.pg: "split" and "upstream" exclude each other; write '
            "either `upstream` or `split`",
        ),
        (
            SPLIT.replace(':5434"]', ':5434"]\nprotocol = "h2c"'),
            'main.toml:13:56: tcp_routes.pg.split[1].upstream: upstream "new" has protocol = '
            '"h2c"; name one without `protocol`',
        ),
        (
            SPLIT.replace("weight = 9", "weight = 0").replace('"new" }', '"new", weight = 0 }'),
            "main.toml:12:9: tcp_routes.pg.split: every weight of the split is 0; write at least "
            "one above 0",
        ),
        (
            BASE + 'sticky = { by = "client_ip" }\n',
            "main.toml:11:10: tcp_routes.pg.sticky: the route has no split whose branches clients "
            "could stay at; leave `sticky` out, or write `split`",
        ),
        (
            SPLIT + 'sticky = { by = "header:x" }\n',
            'main.toml:13:17: tcp_routes.pg.sticky.by: "header:x" is not allowed here; write '
            '"client_ip"',
        ),
        (
            BASE.replace('upstream = "pg"\n', ""),
            "main.toml:8:1: tcp_routes.pg: the route does not say where connections go; write "
            "either `upstream` or `split`",
        ),
        (
            BASE.replace('listeners = "pg"', 'listeners = ["pg", "web"]'),
            'main.toml:9:13: tcp_routes.pg.listeners: listener "web" has protocol = "http"; name '
            'listeners with protocol = "tcp": "pg", or write `detect` in it',
        ),
        (
            BASE + '[routes.all]\nlisteners = "pg"\nupstream = "pg"\n',
            'main.toml:12:13: routes.all.listeners: listener "pg" has protocol = "tcp"; name '
            'listeners with protocol = "http": "web"',
        ),
        (
            BASE.replace('upstream = "pg"', 'upstream = "gp"'),
            'main.toml:10:12: tcp_routes.pg.upstream: there is no upstream "gp"; define '
            "[upstreams.gp]",
        ),
        (
            BASE + '[tcp_routes.other]\nlisteners = "pg"\nupstream = "pg"\n',
            'main.toml:8:13: tcp_routes.pg: TCP route "other" takes all other clients on listener '
            '"pg"; write other networks as `client`, or other names as `sni`',
        ),
        (
            BASE
            + 'client = "10.0.0.0/8"\n'
            + '[tcp_routes.other]\nlisteners = "pg"\nupstream = "pg"\nclient = "10.0.0.0/8"\n',
            'main.toml:11:10: tcp_routes.pg.client: TCP route "other" takes the clients of '
            '10.0.0.0/8 on listener "pg"; write other networks as `client`, or other names as '
            "`sni`",
        ),
        (
            BASE
            + 'sni = ["b.example", "*.example"]\nalpn = "h2"\n'
            + '[tcp_routes.other]\nlisteners = "pg"\n'
            + 'upstream = "pg"\nsni = ["a.example", "B.example."]\nalpn = ["x", "h2"]\n',
            'main.toml:11:7: tcp_routes.pg.sni: TCP route "other" takes all clients that ask for '
            '"b.example" and offer "h2" on listener "pg"; write other networks as `client`, or '
            "other names as `sni`",
        ),
        (
            BASE + "bandwidth = {}\n",
            "main.toml:11:13: tcp_routes.pg.bandwidth: it limits neither direction; write "
            '`download = "2MiB/s"`, `upload`, or both',
        ),
        (
            BASE + 'bandwidth = { download = "1B/s" }\n',
            'main.toml:11:26: tcp_routes.pg.bandwidth.download: "1B/s" is out of range; write '
            '"1kB/s" to "10GB/s"',
        ),
        (
            BASE + 'bandwidth = { download = "1MB/s", key = "request" }\n',
            'main.toml:11:41: tcp_routes.pg.bandwidth.key: "request" is not allowed here; write '
            '"connection", "client_ip" or "all"',
        ),
        (
            BASE + 'sni = "192.0.2.1"\n',
            'main.toml:11:7: tcp_routes.pg.sni[0]: "192.0.2.1" is an address, which TLS clients do '
            'not send; write "a.example", "*.example" or "*"',
        ),
        (
            BASE + 'sni = ["a.example:443"]\n',
            'main.toml:11:8: tcp_routes.pg.sni[0]: "a.example:443" has a port; write the host '
            "alone: the port is that of the listener",
        ),
        (
            BASE + 'alpn = ["h2", ""]\n',
            'main.toml:11:15: tcp_routes.pg.alpn[1]: "" is not the name of a protocol; write the '
            'name of a protocol such as "h2" or "postgresql"',
        ),
        (
            BASE.replace(
                'protocol = "tcp"\n',
                'protocol = "tcp"\ntimeouts = { head = "1s", handshake = "1s" }\n',
            ),
            'main.toml:6:21: listeners.pg.timeouts.head: a listener with protocol = "tcp" has no '
            "`timeouts.head`; leave `head` out",
        ),
        (
            BASE.replace("[tcp_routes.pg]", 'protocol = "h2c"\n[tcp_routes.pg]'),
            'main.toml:11:12: tcp_routes.pg.upstream: upstream "pg" has protocol = "h2c"; name one '
            "without `protocol`",
        ),
        (
            BASE.replace('8000"\n', '8000"\ndetect = {}\n').replace('"pg"\nup', '"web"\nup')
            + 'tls = "terminate"\n',
            'main.toml:12:7: tcp_routes.pg.tls: on listener "web", which is of HTTP, TLS of TCP '
            'routes passes through; write tls = "passthrough", or name a listener with protocol = '
            '"tcp"',
        ),
        (
            BASE.replace('8000"\n', '8000"\ndetect = {}\ntls = {}\n').replace(
                '"pg"\nup', '"web"\nup'
            )
            + 'sni = "a.example"\n',
            'main.toml:10:13: tcp_routes.pg: on listener "web", which is of HTTP, TLS of TCP '
            'routes passes through; write tls = "passthrough", or name a listener with protocol = '
            '"tcp"',
        ),
        (
            BASE.replace('"tcp"\n', '"tcp"\ndetect = {}\n'),
            'main.toml:6:10: listeners.pg.detect: a listener with protocol = "tcp" has no '
            "`detect`; leave `detect` out",
        ),
        (
            BASE + 'tls = "terminate"\n',
            'main.toml:11:7: tcp_routes.pg.tls: listener "pg" has no `tls`, so no TLS ends there; '
            'write `tls` in the listener, or "passthrough" here',
        ),
        (
            BASE.replace('protocol = "tcp"\n', 'protocol = "tcp"\ntls = { strict_sni = true }\n'),
            'main.toml:6:22: listeners.pg.tls.strict_sni: a listener with protocol = "tcp" has no '
            "`tls.strict_sni`; leave `strict_sni` out",
        ),
        (
            BASE.replace('protocol = "tcp"\n', 'protocol = "udp"\ntls = {}\n').replace(
                "tcp_routes", "udp_routes"
            ),
            'main.toml:6:7: listeners.pg.tls: a listener with protocol = "udp" has no `tls`; leave '
            "`tls` out",
        ),
        (
            BASE.replace(
                'protocol = "tcp"\n',
                'protocol = "tcp"\nclient_ip = { trusted = ["10.0.0.0/8"] }\n',
            ),
            'main.toml:6:13: listeners.pg.client_ip: a listener with protocol = "tcp" has no '
            "`client_ip`; leave `client_ip` out",
        ),
        (
            BASE.replace(
                'protocol = "tcp"\n', 'protocol = "tcp"\nproxy_protocol = { trusted = ["x"] }\n'
            ),
            'main.toml:6:31: listeners.pg.proxy_protocol.trusted[0]: "x" is not a network; write '
            'a network or an address: "10.0.0.0/8", "2001:db8::/32", "192.0.2.7"',
        ),
        (
            BASE.replace(
                "[tcp_routes.pg]", 'balance = { maglev = { key = "path" } }\n[tcp_routes.pg]'
            ),
            'main.toml:11:12: tcp_routes.pg.upstream: upstream "pg" is balanced by "path", which a '
            'TCP connection does not have; name one that is balanced by "client_ip"',
        ),
        (
            BASE.replace('protocol = "tcp"\n', 'protocol = "tcp"\nh2c = true\n'),
            'main.toml:6:7: listeners.pg.h2c: a listener with protocol = "tcp" has no `h2c`; leave '
            "`h2c` out",
        ),
        (
            BASE.replace('protocol = "tcp"\n', 'protocol = "tcp"\nlimits = { head = "1KiB" }\n'),
            'main.toml:6:19: listeners.pg.limits.head: a listener with protocol = "tcp" has no '
            "`limits.head`; leave `head` out",
        ),
    ],
)
def test_what_cannot_work_is_told_with_its_place(text: str, message: str) -> None:
    assert messages(text) == [message]


def test_headers_are_read_and_written_as_for_http() -> None:
    text = BASE.replace("[upstreams.pg]", '[upstreams.pg]\nproxy_protocol = "v2"').replace(
        'protocol = "tcp"\n', 'protocol = "tcp"\nproxy_protocol = { trusted = ["10.0.0.0/8"] }\n'
    )
    plan = loaded(text).plan
    assert plan is not None, messages(text)
    listener = plan.objects[ObjectKey("listener", ObjectName("pg"))].value
    upstream = plan.objects[ObjectKey("upstream", ObjectName("pg"))].value
    assert isinstance(listener, Listener) and isinstance(upstream, Upstream)
    assert listener.client_ip.proxy_protocol == ProxyProtocol(("10.0.0.0/8",))
    assert upstream.pool.proxy_protocol == "v2"


def test_tls_ends_and_begins_as_for_http() -> None:
    text = BASE.replace("[upstreams.pg]", '[upstreams.pg]\ntls = { verify_name = "pg" }').replace(
        'protocol = "tcp"\n', 'protocol = "tcp"\ntls = { unknown_sni = "default" }\n'
    )
    plan = loaded(text).plan
    assert plan is not None, messages(text)
    listener = plan.objects[ObjectKey("listener", ObjectName("pg"))].value
    upstream = plan.objects[ObjectKey("upstream", ObjectName("pg"))].value
    assert isinstance(listener, Listener) and isinstance(upstream, Upstream)
    assert listener.tls == ListenerTls(unknown_sni="default")
    assert upstream.tls == UpstreamTls(verify_name="pg")


def test_a_name_without_a_certificate_is_a_warning() -> None:
    text = BASE.replace('protocol = "tcp"\n', 'protocol = "tcp"\ntls = {}\n')
    text += 'sni = ["a.example", "*"]\n'
    assert [str(one) for one in lints(loaded(text))] == [
        "main.toml:3:12: warning: listeners.pg: this listener ends TLS and has no certificate: "
        "every handshake fails; write `default_certificate` in `tls`",
        'main.toml:9:13: warning: tcp_routes.pg: TLS listener "pg" has no certificate for '
        '"a.example"; write `certificate` in [hosts."a.example"], or `default_certificate` there',
    ]


def test_a_listener_may_end_tls_for_some_names_and_pass_it_for_others() -> None:
    passed = 'sni = "a.example"\ntls = "passthrough"\n'
    bare = BASE.replace('protocol = "tcp"\n', 'protocol = "tcp"\ntls = {}\n') + passed
    assert route(bare).tls == "passthrough"
    assert [str(one) for one in lints(loaded(bare))] == [
        "main.toml:6:1: warning: listeners.pg.tls: no TCP route ends TLS here: its `tls` is for "
        "nobody; leave `tls` out"
    ]
    both = bare + '[tcp_routes.other]\nlisteners = "pg"\nupstream = "pg"\ntls = "terminate"\n'
    assert [one.path for one in lints(loaded(both))] == ["listeners.pg"]


def test_a_listener_of_http_may_have_tcp_routes() -> None:
    text = BASE.replace('8000"\n', '8000"\ndetect = { timeout = "2s" }\n')
    both = text.replace('"pg"\nup', '["pg", "web"]\nup') + 'sni = "a.example"\n'
    assert messages(both) == []
    assert route(both).listeners == ("pg", "web")
    assert [str(one) for one in lints(loaded(text))] == [
        "main.toml:3:1: warning: listeners.web.detect: no TCP route uses this listener, so every "
        'connection is one of HTTP; write [tcp_routes.NAME] with `listeners = "web"`, or remove it'
    ]


def test_routes_for_other_networks_share_a_listener() -> None:
    text = BASE + '[tcp_routes.near]\nlisteners = "pg"\nupstream = "pg"\nclient = "10.0.0.0/8"\n'
    assert messages(text) == []


def test_routes_for_other_names_share_a_listener() -> None:
    text = BASE
    for n, sni in enumerate(("a.example", "*.example", "*")):
        text += f'[tcp_routes.r{n}]\nlisteners = "pg"\nupstream = "pg"\nsni = "{sni}"\n'
    text += '[tcp_routes.h2]\nlisteners = "pg"\nupstream = "pg"\nsni = "a.example"\nalpn = "h2"\n'
    assert messages(text) == []


def test_a_listener_that_no_route_uses_is_a_warning() -> None:
    assert lints(loaded(BASE)) == ()
    text = BASE + '[listeners.lone]\naddress = "127.0.0.1:1"\nprotocol = "tcp"\n'
    assert [str(one) for one in lints(loaded(text))] == [
        "main.toml:11:12: warning: listeners.lone: no TCP route uses this listener: every "
        'connection is reset; write [tcp_routes.NAME] with `listeners = "lone"`, or remove it'
    ]
