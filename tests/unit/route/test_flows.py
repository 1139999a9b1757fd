"""Flows of UDP listeners in explain and in cases: their route, and what is no flow."""

import io
from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles

from headgate.cli.explain import question, text
from headgate.cli.test import test as try_cases
from headgate.compile.answers import answer
from headgate.compile.explanation import places
from headgate.compile.load import load
from headgate.compile.routing import Routing

CONFIG = """\
[listeners.names]
address = ["127.0.0.1:53", "[::1]:53"]
protocol = "udp"
[listeners.more]
address = "127.0.0.2:53"
protocol = "udp"
[listeners.raw]
address = "127.0.0.1:54"
protocol = "tcp"
[udp_routes.near]
listeners = "names"
client = ["10.0.0.0/8", "127.0.0.0/8"]
upstream = "near"
answers = 1
timeouts = { idle = "10s" }
[udp_routes.rack]
listeners = "names"
client = "10.1.0.0/16"
upstream = "far"
balance_by = "datagram"
answers = 2
[udp_routes.rest]
listeners = "more"
upstream = "far"
[listeners.quic]
address = "127.0.0.1:443"
protocol = "udp"
[udp_routes.shop]
listeners = "quic"
sni = "*.shop.example"
client = "127.0.0.0/8"
upstream = "near"
[udp_routes.other]
listeners = "quic"
upstream = "far"
[upstreams.near]
endpoints = ["127.0.0.1:1"]
[upstreams.far]
endpoints = ["127.0.0.1:2"]
"""


def said(url: str, client: str = "127.0.0.1", listener: str | None = None, **more: object) -> str:
    """The lines about a flow, without places."""
    loaded = load([PurePath("main.toml")], MemoryFiles({"main.toml": CONFIG}), {})
    assert loaded.plan is not None, loaded.diagnostics
    asked = question([url], (), client, listener, **more)  # type: ignore[arg-type]
    lines = text(answer(Routing(loaded.plan), asked, places(loaded)))
    return "\n".join(line.split("  main.toml")[0].rstrip() for line in lines)


def test_a_route_is_told_with_its_condition_its_flow_and_its_upstream() -> None:
    assert said("udp://127.0.0.1:53").splitlines() == [
        "udp://127.0.0.1:53  on listener names",
        "UDP route near",
        "  client is 10.0.0.0/8 or 127.0.0.0/8",
        "passed on to one endpoint; the flow ends after 10s without a datagram, or with 1 answer "
        "to each",
        "upstream near (round_robin, udp)",
        "  127.0.0.1:1  weight 1",
    ]


def test_the_limit_of_bytes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 'timeouts = { idle = "10s" }\nbandwidth = { upload = "1MB/s", burst = "64KiB" }\n'
    monkeypatch.setattr(
        f"{__name__}.CONFIG", CONFIG.replace('timeouts = { idle = "10s" }\n', limit)
    )
    (told,) = [line for line in said("udp://127.0.0.1:53").splitlines() if "bandwidth" in line]
    assert "for each flow; datagrams above it are dropped" in told


def test_clients_and_listeners_choose() -> None:
    rack = said("udp://127.0.0.1:53", "10.1.0.1").splitlines()
    assert rack[1] == "UDP route rack"
    assert rack[3] == (
        "passed on to an endpoint chosen for each; the flow ends after 1m without a datagram, or "
        "with 2 answers to each"
    )
    rest = said("udp://127.0.0.2:53", "2001:db8::1").splitlines()
    assert rest[1:3] == [
        "UDP route rest",
        "passed on to one endpoint; the flow ends after 1m without a datagram",
    ]
    assert "UDP route rest" in said("udp://127.0.0.1:53", listener="more")
    assert said("udp://[::1]:53", "::1").splitlines()[1] == (
        "no answer: no UDP route of the listener takes it, so it is dropped (no-route)"
    )


def test_names_choose() -> None:
    assert said("udp://127.0.0.1:443", sni="A.shop.example.").splitlines()[1:4] == [
        "UDP route shop",
        "  client is 127.0.0.0/8",
        "  sni is *.shop.example",
    ]
    for name in (None, "shop.example"):
        assert "UDP route other" in said("udp://127.0.0.1:443", sni=name)
    assert "(no-route)" in said("udp://127.0.0.1:443", "192.0.2.1", sni="a.shop.example")


@pytest.mark.parametrize(
    ("url", "more", "message"),
    [
        ("udp://127.0.0.1", {}, '"udp://127.0.0.1" is not a flow; write an address'),
        (
            "udp://127.0.0.1:54",
            {},
            'no UDP listener has port 54; write that of one of the listeners: "more", "names", '
            '"quic"',
        ),
        ("udp://a:53", {"listener": "raw"}, 'there is no UDP listener "raw"'),
        ("udp://127.0.0.1:53", {"sni": "a.example"}, "so that datagrams pass unread"),
        ("udp://127.0.0.1:443", {"sni": "*.example"}, '"*.example" is not one name'),
        ("udp://127.0.0.1:53", {"alpn": ["h3"]}, "UDP routes do not choose by `alpn`"),
        ("tcp://127.0.0.1:53", {}, "no TCP listener has port 53"),
        ("http://127.0.0.1:53/", {}, 'ask for "udp://HOST:PORT"'),
    ],
)
def test_what_is_no_flow_is_told(url: str, more: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError) as wrong:
        said(url, **more)
    assert message in str(wrong.value)


def test_cases_have_flows(tmp_path: Path) -> None:
    (tmp_path / "main.toml").write_text(CONFIG)
    file = tmp_path / "cases.toml"
    file.write_text(
        'config = ["main.toml"]\n'
        '[[cases]]\nrequest = "udp://127.0.0.1:53"\nexpect = { route = "near" }\n'
        '[[cases]]\nrequest = "udp://127.0.0.1:53"\nclient = "192.0.2.1"\n'
        'expect = { route = "" }\n'
        '[[cases]]\nrequest = "udp://127.0.0.1:53"\nclient = "10.1.2.3"\n'
        'expect = { route = "near", upstream = "far" }\n'
    )
    stream = io.StringIO()
    assert try_cases(file, stream=stream) == 1
    out = stream.getvalue()
    assert 'route: expected "near", got "rack"' in out
    assert "2 of 3 as expected" in out
