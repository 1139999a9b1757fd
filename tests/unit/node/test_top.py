"""One screen of `headgate top`."""

from dataclasses import replace

import msgspec
import pytest
from rich.console import Console

from headgate.cli.top import Look, draw, plain
from headgate.engines.status import EngineStatus
from headgate.engines.types import EndpointStatus, UpstreamStatus
from headgate.node.about import ConfigStatus, NodeStatus, ProcessStatus
from headgate.node.samples import parse


def look(at: float, requests: int, error: str = "", address: str = "127.0.0.1:9") -> Look:
    """A node that has served so many requests."""
    endpoint = EndpointStatus(address, [], "up", 3, 1, requests, 0, error)
    upstreams = [UpstreamStatus("app", [endpoint])]
    status = NodeStatus(
        ready=True,
        reason="ready",
        control=ProcessStatus("1", 1, 1.0),
        config=ConfigStatus(["a.toml"], "abcdef0123456789", 3, 1.0, None),
        supervisor=None,
        engine=EngineStatus(kind="native", state="serving", upstreams=upstreams),
    )
    page = f"""
http_requests_total{{method="GET",status="200",upstream="app"}} {requests}
http_request_duration_seconds_bucket{{le="0.005"}} {requests}
http_request_duration_seconds_bucket{{le="+Inf"}} {requests}
proxy_active_connections 12
proxy_bytes_sent_total {requests * 2048}
"""
    return Look(at, status, parse(page))


def test_rates_are_what_happened_between_two_looks() -> None:
    console = Console(width=200, record=True)
    with console.capture() as capture:
        console.print(draw(look(10.0, 100), look(12.0, 500)))
    text = capture.get()
    assert "requests/s 200" in text
    assert "p99 5.0 ms" in text
    assert "connections 12" in text
    assert "out 400 KiB/s" in text
    assert "127.0.0.1:9" in text


def test_an_address_of_ipv6_is_shown_whole() -> None:
    found = plain(look(10.0, 1, "", "[fd00::1]:80"), look(11.0, 2, "", "[fd00::1]:80"))
    assert "[fd00::1]:80" in found


def test_80_columns_are_enough() -> None:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(draw(look(10.0, 100), look(12.0, 987_654)))
    text = capture.get()
    assert "…" not in text
    for word in ("127.0.0.1:9", "493777", "requests/s 493777", "config abcdef012345", "fail/s"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 80


def test_where_there_is_less_room_no_number_is_broken() -> None:
    console = Console(width=52)
    with console.capture() as capture:
        console.print(draw(look(10.0, 100), look(12.0, 987_654)))
    assert "│ 493777 │" in capture.get()


@pytest.mark.parametrize(
    ("sent", "rate"),
    [(1023, "1023 B"), (1024, "1 KiB"), (3 << 20, "3 MiB"), (5 << 29, "2.5 GiB")],
)
def test_rates_of_bytes_are_told_in_the_unit_that_fits(sent: int, rate: str) -> None:
    before, now = look(10.0, 0), look(12.0, 0)
    now = replace(now, samples=parse(f"proxy_bytes_sent_total {2 * sent}\n"))
    assert f"out {rate}/s\n" in plain(before, now)


def test_a_node_that_is_not_ready_says_why() -> None:
    one = look(10.0, 100)
    status = msgspec.structs.replace(one.status, reason="draining")
    assert plain(one, replace(one, status=status)).startswith("ready\n")
    status = msgspec.structs.replace(status, ready=False)
    assert plain(one, replace(one, status=status)).startswith("draining\n")


def test_an_error_of_an_endpoint_is_told_whole() -> None:
    why = "the name does not resolve: no server of 10.0.0.1, 10.0.0.2 and 10.0.0.3 answered in time"
    console = Console(width=80)
    with console.capture() as capture:
        console.print(draw(look(10.0, 100), look(12.0, 500, error=why)))
    assert f"app 127.0.0.1:9: {why}" in " ".join(capture.get().split())


def test_into_a_pipe_goes_one_table_without_escapes() -> None:
    text = plain(look(10.0, 100), look(12.0, 500))
    assert "\x1b" not in text
    assert "requests/s 200" in text
    assert text.endswith("\n")


def test_no_color_takes_the_colours_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn() -> str:
        console = Console(force_terminal=True, width=80)
        with console.capture() as capture:
            console.print(draw(look(10.0, 100), look(12.0, 500)))
        return capture.get()

    green = "\x1b[32m"
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert green in drawn()
    monkeypatch.setenv("NO_COLOR", "1")
    assert green not in drawn()
