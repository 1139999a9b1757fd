"""Limits in nginx's words, and what of them nginx cannot do."""

import contextlib
import re
import socket
from pathlib import Path, PurePath

import pytest
from echo_upstream import EchoUpstream
from memory_files import MemoryFiles
from nginx_engine import NginxEngine, NotRenderedError, expressed, target
from running_node import Upstream
from waiting import until
from wire import Wire

from headgate.compile.load import load
from headgate.engines.nginx.common.types import Capabilities, Rendered

ACCEPTED = Path(__file__).parents[4] / "golden" / "nginx" / "accepted.txt"
DEBIAN_12 = Capabilities("", "", "", frozenset(ACCEPTED.read_text(encoding="utf-8").split()))
FORWARD = 'upstream = "u"'


def rendered(
    *limits: str, route: str = FORWARD, has: Capabilities = DEBIAN_12, extra: str = ""
) -> Rendered:
    """A release whose one route has these middlewares, each as TOML of an inline table."""
    text = (
        '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n'
        f"[routes.r]\nmiddlewares = [{', '.join(limits)}]\n{route}\n"
        f'[upstreams.u]\nendpoints = ["127.0.0.1:1"]\n{extra}'
    )
    found = load([PurePath("c.toml")], MemoryFiles({"c.toml": text}), {})
    assert found.plan is not None, [str(one) for one in found.errors]
    return expressed(found, target("/state/nginx", has))


def text_of(made: Rendered) -> str:
    return b"".join(file.content for file in made.files).decode()


def rate(keys: str) -> str:
    return f"{{ rate_limit = {{ {keys} }} }}"


def busy(keys: str) -> str:
    return f"{{ concurrency_limit = {{ {keys} }} }}"


@pytest.mark.parametrize(
    ("keys", "zone", "use", "again"),
    [
        ('rate = "10/s"', "rate=10r/s", " burst=9 nodelay", "1"),
        ('rate = "10/s", burst = 1', "rate=10r/s", "", "1"),
        ('rate = "10/s", burst = 20, delay_above = 1', "rate=10r/s", " burst=19", "1"),
        ('rate = "10/s", burst = 20, delay_above = 5', "rate=10r/s", " burst=19 delay=4", "1"),
        ('rate = "600/m"', "rate=10r/s", " burst=599 nodelay", "1"),
        ('rate = "20/m"', "rate=20r/m", " burst=19 nodelay", "3"),
        ('rate = "120/h"', "rate=2r/m", " burst=119 nodelay", "30"),
        ('rate = { requests = 1, per = "2s" }', "rate=30r/m", "", "2"),
    ],
)
def test_a_rate_limit_is_a_zone_and_its_use(keys: str, zone: str, use: str, again: str) -> None:
    text = text_of(rendered(rate(keys)))
    assert f"{zone};" in text
    assert re.search(rf" limit_req zone=\w+{use};", text)
    assert "limit_req_status 429;" in text
    assert f"set $hg_retry {again};" in text


def test_a_named_limit_has_one_zone_and_two_places_have_two() -> None:
    named = '[middlewares.m.rate_limit]\nrate = "1/s"\n'
    again = '[routes.other]\nhosts = ["b.example"]\nmiddlewares = ["m"]\nupstream = "u"\n'
    assert len(rendered('"m"', extra=named + again).zones) == 1
    assert len(rendered(rate('rate = "1/s"'), rate('rate = "1/s"')).zones) == 2


def test_a_zone_is_another_one_when_its_counts_mean_something_else() -> None:
    def zones(keys: str) -> frozenset[str]:
        return frozenset(rendered(rate(keys)).zones)

    first = zones('rate = "1/s"')
    assert zones('rate = "1/s", burst = 5, dry_run = true') == first
    others = ['rate = "2/s"', 'rate = "1/s", key = "path"', 'rate = "1/s", ipv6_prefix = 48']
    assert all(zones(keys) != first for keys in others)


def test_the_limit_of_connections_stays_beside_a_limit_of_requests_in_progress() -> None:
    node = "[node.limits]\nconnections_per_client = 7\n"
    text = text_of(rendered(busy("requests = 3"), extra=node))
    location = text[text.index("# route r") :]
    assert " 7;\n        limit_conn " in location[: location.index("proxy_pass")]
    assert " 3;\n        limit_conn_status 429;" in location


def test_a_trial_would_lift_the_limit_of_connections_and_is_refused_beside_it() -> None:
    node = "[node.limits]\nconnections_per_client = 7\n"
    tried = busy("requests = 3, dry_run = true")
    with pytest.raises(NotRenderedError, match="connections_per_client") as caught:
        rendered(tried, extra=node)
    assert [one.path for one in caught.value.found] == ["middlewares[0].concurrency_limit.dry_run"]
    assert rendered(tried).zones
    assert rendered(rate('rate = "1/s", dry_run = true'), extra=node).zones


@pytest.mark.parametrize(
    ("limits", "paths"),
    [
        ([rate('rate = "1/h"')], ["middlewares[0].rate_limit.rate"]),
        ([rate('rate = "7/s", announce = true')], ["middlewares[0].rate_limit.announce"]),
        ([rate('rate = "7/s", cost = 2')], ["middlewares[0].rate_limit.cost"]),
        ([rate('rate = "7/s", status = 503')], ["middlewares[0].rate_limit.status"]),
        ([rate('rate = "7/s", ipv6_prefix = 60')], ["middlewares[0].rate_limit.ipv6_prefix"]),
        ([rate('rate = "7/s", key = "header:a_b"')], ["middlewares[0].rate_limit.key"]),
        (
            [rate('rate = "7/s"'), rate('rate = "7/s", dry_run = true')],
            ["middlewares[1].rate_limit.dry_run"],
        ),
        ([busy("requests = 65536")], ["middlewares[0].concurrency_limit.requests"]),
        ([busy("requests = 1, status = 503")], ["middlewares[0].concurrency_limit.status"]),
        (
            [rate('rate = "7/s"'), "{ redirect = { host = 'b.example' } }"],
            ["middlewares[0].rate_limit"],
        ),
    ],
)
def test_what_nginx_cannot_do_is_refused_at_its_place(limits: list[str], paths: list[str]) -> None:
    with pytest.raises(NotRenderedError) as caught:
        rendered(*limits)
    assert [one.path for one in caught.value.found] == paths


def test_a_route_that_answers_by_itself_is_not_counted_and_so_refused() -> None:
    with pytest.raises(NotRenderedError) as caught:
        rendered(rate('rate = "1/s"'), route="respond = { status = 204 }")
    (found,) = caught.value.found
    assert (found.path, "by itself" in found.message) == ("middlewares[0].rate_limit", True)


def test_an_nginx_without_the_module_is_refused() -> None:
    none = Capabilities("", "", "", DEBIAN_12.accepted - {"limit_req", "limit_req_dry_run"})
    with pytest.raises(NotRenderedError):
        rendered(rate('rate = "1/s"'), has=none)
    assert rendered(busy("requests = 1"), has=none).zones


@pytest.mark.parametrize(
    ("tried", "other", "probe"),
    [
        (rate('rate = "1/s", dry_run = true'), "limit_conn_dry_run", "limit_req_dry_run"),
        (busy("requests = 1, dry_run = true"), "limit_req_dry_run", "limit_conn_dry_run"),
    ],
)
def test_each_kind_of_limit_is_tried_out_where_the_nginx_can_do_that(
    tried: str, other: str, probe: str
) -> None:
    assert rendered(tried, has=Capabilities("", "", "", DEBIAN_12.accepted - {other})).zones
    with pytest.raises(NotRenderedError, match="this nginx"):
        rendered(tried, has=Capabilities("", "", "", DEBIAN_12.accepted - {probe}))


@pytest.mark.parametrize("prefix", [32, 64, 128])
def test_clients_of_ipv4_are_told_apart_however_their_addresses_are_written(
    tmp_path: Path, port: int, prefix: int
) -> None:
    """A balancer may write them as addresses of IPv6, all of which begin with the same bytes."""
    config = tmp_path / "headgate.toml"
    limit = rate(f'rate = "1/m", ipv6_prefix = {prefix}')
    with EchoUpstream() as echo:
        config.write_text(
            f'[listeners.web]\naddress = "127.0.0.1:{port}"\ndefault = true\n'
            'client_ip.trusted = ["127.0.0.0/8"]\n'
            f'[routes.r]\nmiddlewares = [{limit}]\nupstream = "u"\n'
            f'[upstreams.u]\nendpoints = ["{echo.address}"]\n'
        )
        with NginxEngine(config, tmp_path):
            assert _status(port, "::ffff:203.0.113.7") == 200
            assert _status(port, "::ffff:203.0.113.8") == 200
            assert _status(port, "203.0.113.7") == 429
            assert _status(port, "::ffff:203.0.113.8") == 429
            assert _status(port, "cb00:7107::1") == 200  # begins with the bytes of 203.0.113.7


def _status(port: int, client: str) -> int:
    head = f"GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: {client}\r\n\r\n"
    with Wire(port) as wire:
        return wire.ask(head.encode()).status


LONG = "x" * 300


@pytest.mark.parametrize(
    ("key", "value"),
    [('"header:x-k"', LONG), ('["header:x-k", "client_ip", "path"]', LONG), ('"cookie:k"', LONG)],
)
def test_requests_in_progress_are_counted_by_keys_of_any_length(
    tmp_path: Path, port: int, key: str, value: str
) -> None:
    """nginx itself counts no key of more than 255 bytes, and writes it into its error log."""
    config = tmp_path / "headgate.toml"
    slow = Upstream("slow")
    config.write_text(
        f'[listeners.web]\naddress = "127.0.0.1:{port}"\ndefault = true\n'
        f"[routes.r]\nmiddlewares = [{busy(f'requests = 1, key = {key}')}]\n"
        f'upstream = "u"\n[upstreams.u]\nendpoints = ["{slow.address}"]\n'
    )
    with contextlib.closing(slow), NginxEngine(config, tmp_path) as nginx:
        with socket.create_connection(("127.0.0.1", port)) as first:
            first.sendall(_keyed(value))
            until(slow.waiting.is_set, "the first request at the upstream")
            with Wire(port) as second:
                assert second.ask(_keyed(value)).status == 429
            slow.release.set()
            with Wire(port) as other:
                assert other.ask(_keyed(value[:-1] + "y")).status == 200
        assert "255 bytes" not in nginx.error_log()


def _keyed(value: str) -> bytes:
    lines = f"Host: a.example\r\nX-K: {value}\r\nCookie: k={value}\r\n"
    return f"GET /slow HTTP/1.1\r\n{lines}\r\n".encode()


def test_all_parts_of_a_key_together_stay_below_the_bytes_that_nginx_counts() -> None:
    name = "r" * 60
    names = ", ".join(f'"header:x-{number}"' for number in range(5))
    limit = busy(f'requests = 1, key = ["route", "host", "path", {names}]')
    other = f"[routes.{name}]\nhosts = ['b.example']\nmiddlewares = [{limit}]\n{FORWARD}\n"
    found = re.findall(r"limit_conn_zone (\S+|\".*\") zone=", text_of(rendered(extra=other)))
    keys = [key for key in found if "limit_part" in key]
    assert len(keys) == 1
    assert name not in keys[0]
    assert keys[0].count("hg_limit_part") == 7
    text = text_of(rendered(extra=other))
    assert text.count(r".{23})\\z") == 7
    alike = other.replace(name, "r" * 61)
    assert not set(rendered(extra=other).zones) & set(rendered(extra=alike).zones)
