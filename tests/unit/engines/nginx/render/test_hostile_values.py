"""Any text in any field is refused, or reaches nginx as data: no directive, no variable, no line.

Plans are built by hand here: what the model would refuse must not matter.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nginx_engine import NginxEngine, capabilities, checked, target, write_release
from ports import free_ports
from wire import Wire

from headgate._core import normalise_path
from headgate.engines.nginx.common.types import Capabilities, Rendered
from headgate.engines.nginx.render import render
from headgate.features.balancer.ring_hash.spec import RingHashNode
from headgate.nginxtext.parse import parse
from headgate.nginxtext.tree import Directive, Node
from headgate.plan.balance import Balance
from headgate.plan.middleware import HeaderEdits, MiddlewareUse, Respond
from headgate.plan.objects import (
    Action,
    Endpoint,
    Host,
    HostLiteral,
    Listener,
    Match,
    PathMatch,
    Route,
    Upstream,
    ValueMatch,
)
from headgate.plan.plan import Plan, entry, plan_of
from headgate.plan.settings import AccessLog, FileSink, LogSink, Settings

ABLE = Capabilities("", "", "", frozenset({"zone", "hash_consistent", "keepalive"}))
TARGET = target("/state", ABLE)

TRICKS = (
    'a"; return 200 "owned',
    "a'; }",
    "} server { listen 1; }",
    "$host ${remote_addr} $",
    "\\$host \\",
    "a\\",
    "# not a comment",
    "a;b {c} }d",
    "~.*",
    "default",
    "include /etc/passwd",
    "%s%00%0d%0aX: 1",
    "${hg_dollar}",
    "by_lua_block { os.exit() }",
    "\u00e9\u2028 \U0001f600",
    " lead and trail ",
)


def one_route(route: Route, upstream: Upstream | None = None, **more: object) -> Plan:
    """A plan with a listener, a host with every header and this route."""
    used = upstream or Upstream((Endpoint("127.0.0.1:9"),))
    entries = [
        entry("listener", "web", Listener(("127.0.0.1:8000",), "http")),
        entry("route", str(more.get("name", "r")), route),
        entry("upstream", "u", used),
    ]
    if "settings" in more:
        value = more["settings"]
        assert isinstance(value, Settings)
        entries.append(entry("settings", "node", value))
    if "host" in more:
        value = more["host"]
        assert isinstance(value, Host)
        entries.append(entry("host", "*", value))
    return plan_of(entries)


def forwarding(match: Match | None = None, **more: object) -> Route:
    """A route to the upstream."""
    edits = more.get("edits")
    uses = (MiddlewareUse(response_headers=edits),) if isinstance(edits, HeaderEdits) else ()
    return Route(
        ("*",),
        ("web",),
        Action(upstream="u"),
        match=(match,) if match else (),
        middlewares=uses,
    )


def _escaped(text: str) -> str:
    return text.replace("$", "$$")


def _respond(text: str) -> Plan:
    answer = Respond(200, _escaped(text), {"x-a": _escaped(text)})
    return one_route(Route(("*",), ("web",), Action(respond=answer)))


def _path(text: str) -> str:
    return "/" + "".join(char for char in text if char.isalnum() and char.isascii()) + "x"


FIELDS: dict[str, Callable[[str], Plan]] = {
    "respond": _respond,
    "response header": lambda t: one_route(forwarding(edits=HeaderEdits({"x-a": _escaped(t)}))),
    "header condition": lambda t: one_route(
        forwarding(Match(headers={"x-a": ValueMatch(exact=t + "-")}))
    ),
    "header prefix": lambda t: one_route(
        forwarding(Match(headers={"x-a": ValueMatch(prefix=t + "-")}))
    ),
    "cookie condition": lambda t: one_route(forwarding(Match(cookies={t: ValueMatch(exact=t)}))),
    "query condition": lambda t: one_route(forwarding(Match(query={t: ValueMatch(exact=t)}))),
    "method": lambda t: one_route(forwarding(Match(methods=(t,)))),
    "exact path": lambda t: one_route(forwarding(Match(path=PathMatch(exact=_path(t))))),
    "prefix": lambda t: one_route(forwarding(Match(path=PathMatch(prefix=_path(t))))),
    "expression": lambda t: one_route(forwarding(Match(path=PathMatch(regex="/" + t)))),
    "route's name": lambda t: one_route(forwarding(), name="r" + t),
    "endpoint": lambda t: one_route(forwarding(), Upstream((Endpoint("unix:/" + t),))),
    "cookie": lambda t: one_route(
        forwarding(),
        Upstream(
            (Endpoint("127.0.0.1:9"),),
            balance=Balance(ring_hash=RingHashNode("cookie:a" + t, load_bound=0)),
        ),
    ),
    "host header": lambda t: one_route(
        forwarding(), Upstream((Endpoint("127.0.0.1:9"),), host_header=HostLiteral("h" + t))
    ),
    "log file": lambda t: one_route(
        forwarding(),
        settings=Settings(access_log=AccessLog("json", LogSink(file=FileSink("/" + t)))),
    ),
}


def skeleton(nodes: Sequence[Node], around: bytes = b"") -> list[object]:
    """The shape of a text: directives by name, how many words they have, what is in them.

    What stands in a map has values for names.
    """
    shape: list[object] = []
    for node in nodes:
        if isinstance(node, Directive):
            is_named = around != b"map" and b"proxy" in node.name
            name = node.name if node.children is not None or is_named else b""
            shape.append((name, len(node.args), skeleton(node.children or (), node.name)))
    return shape


def shapes(made: Rendered) -> list[object]:
    """The shape of every file."""
    texts = [file for file in made.files if file.path.endswith(".conf")]
    return [skeleton(parse(file.content, file.path).nodes) for file in texts]


@pytest.mark.parametrize("field", FIELDS)
@settings(max_examples=40)
@given(text=st.one_of(st.sampled_from(TRICKS), st.text(max_size=40), st.text("${}\\\"';#~\n \r\0")))
def test_a_value_never_changes_the_shape_of_the_text(field: str, text: str) -> None:
    plain = render(FIELDS[field]("plain"), {}, TARGET)
    assert isinstance(plain, Rendered)
    made = render(FIELDS[field](text), {}, TARGET)
    if isinstance(made, Rendered):
        assert shapes(made) == shapes(plain)


@pytest.mark.parametrize("text", ["a\rb", "a\0b", "\x7f", "x" * 5000])
def test_what_no_quoting_makes_harmless_is_refused_by_field(text: str) -> None:
    made = render(one_route(forwarding(edits=HeaderEdits({"x-a": text}))), {}, TARGET)
    assert not isinstance(made, Rendered)
    assert [(one.kind, one.name, one.path) for one in made] == [
        ("route", "r", "middlewares[0].response_headers.set.x-a")
    ]


LONG = {
    "exact path": "match[0].path.exact",
    "prefix": "match[0].path.prefix",
    "expression": "match[0].path.regex",
    "header condition": "match[0].headers.x-a",
    "method": "match[0].methods",
    "route's name": "",
    "endpoint": "endpoints",
    "log file": "access_log",
}


@pytest.mark.parametrize("field", FIELDS)
def test_what_is_longer_than_nginx_reads_is_refused_by_field(field: str) -> None:
    made = render(FIELDS[field]("x" * 5000), {}, TARGET)
    assert not isinstance(made, Rendered)
    assert all("nginx reads words of up to 4000" in one.message for one in made)
    assert LONG.get(field, made[0].path) in [one.path for one in made]


@pytest.mark.parametrize("what", ["listener", "upstream", "host"])
def test_names_that_are_longer_than_nginx_reads_raise_nothing(what: str) -> None:
    name = "n" * 5000
    is_host, is_up = what == "host", what == "upstream"
    route = Route(
        (name if is_host else "*",),
        (name if what == "listener" else "web",),
        Action(upstream=name if is_up else "u"),
    )
    plan = plan_of(
        [
            entry("listener", route.listeners[0], Listener(("127.0.0.1:8000",), "http")),
            entry("route", "r", route),
            entry("upstream", name if is_up else "u", Upstream((Endpoint("127.0.0.1:9"),))),
        ]
    )
    made = render(plan, {}, TARGET)
    assert not isinstance(made, Rendered)
    assert all("nginx reads words of up to 4000" in one.message for one in made)


@pytest.mark.parametrize("field", sorted(FIELDS.keys() - {"expression", "log file"}))
def test_the_real_nginx_accepts_whatever_was_rendered(field: str, tmp_path: Path) -> None:
    able = capabilities()
    for number, trick in enumerate(TRICKS):
        root = tmp_path / str(number)
        root.mkdir()
        made = render(FIELDS[field](trick), {}, target(str(root), able))
        if isinstance(made, Rendered):
            found = checked(write_release(made, root))
            assert found.returncode == 0, f"{trick!r}: {found.stderr}"


def test_paths_of_any_kind_become_locations() -> None:
    for text in TRICKS:
        try:
            path = normalise_path("/" + text.replace(" ", "%20"))
        except ValueError:
            continue
        plain = render(one_route(forwarding(Match(path=PathMatch(exact="/plain")))), {}, TARGET)
        made = render(one_route(forwarding(Match(path=PathMatch(exact=path)))), {}, TARGET)
        assert isinstance(made, Rendered)
        assert isinstance(plain, Rendered)
        assert shapes(made) == shapes(plain)


def test_tricks_arrive_at_the_client_of_a_real_nginx_as_they_are() -> None:
    (port,) = free_ports(1)
    text = [f'[listeners.web]\naddress = "127.0.0.1:{port}"\ndefault = true\n']
    for number, trick in enumerate(TRICKS):
        value = trick.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
        text.append(
            f'[routes.r{number}]\nmatch = [{{ path = {{ exact = "/{number}" }} }}]\n'
            f'respond = {{ body = "{value}\\n", headers = {{ x-a = "<{value}>" }} }}\n'
        )
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        config = Path(folder) / "headgate.toml"
        config.write_text("\n".join(text), encoding="utf-8")
        with NginxEngine(config, Path(folder)), Wire(port) as wire:
            for number, trick in enumerate(TRICKS):
                answer = wire.ask(f"GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                assert answer.body.decode() == trick + "\n"
                got = answer.header("x-a") or ""
                assert got.encode("latin-1").decode() == f"<{trick}>"
