"""A broken TCP or UDP route: its neighbours serve on, and none of them takes what it would."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quarantining import Provider, forms

from headgate.cli.explain import text
from headgate.compile.answers import answer
from headgate.compile.closed import NOBODY, closed, is_closed
from headgate.compile.loaded import Loaded
from headgate.compile.quarantine import Refusal
from headgate.compile.routing import Question, Routing
from headgate.fleet.manifest import Json
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Listener, ListenerTls
from headgate.plan.tcp import TcpRoute
from headgate.plan.udp import UdpRoute

BROKEN = {"no-such-key": 1}
RAW: Json = {"address": "127.0.0.1:5432", "protocol": "tcp"}
DNS: Json = {"address": "127.0.0.1:53", "protocol": "udp"}
SHOP: Json = {"listeners": "raw", "sni": "shop.example", "upstream": "shop"}
NEAR: Json = {"listeners": "dns", "client": "10.0.0.0/8", "upstream": "shop"}
BASE: dict[tuple[str, str], Json] = {
    ("listeners", "raw"): RAW,
    ("listeners", "dns"): DNS,
    ("upstreams", "app"): {"endpoints": ["127.0.0.1:9001"]},
    ("upstreams", "shop"): {"endpoints": ["127.0.0.1:9002"]},
    ("tcp_routes", "rest"): {"listeners": "raw", "upstream": "app"},
    ("tcp_routes", "sub"): {"listeners": "raw", "sni": "*.example", "upstream": "app"},
    ("tcp_routes", "shop"): SHOP,
    ("udp_routes", "far"): {"listeners": "dns", "upstream": "app"},
    ("udp_routes", "near"): NEAR,
}
TCP = ("tcp_routes", "shop")
UDP = ("udp_routes", "near")


def routing(loaded: Loaded) -> Routing:
    assert loaded.plan is not None, [str(one) for one in loaded.diagnostics]
    return Routing(loaded.plan, loaded.secrets, loaded.blobs)


def connected(loaded: Loaded, sni: str | None = None, client: str = "127.0.0.1") -> str:
    """Who takes a connection: `NAME`, `NAME closed`, `nobody`."""
    return _taken(loaded, Question("tcp://127.0.0.1:5432", client=client, sni=sni))


def sent(loaded: Loaded, client: str) -> str:
    """Who takes a datagram, likewise."""
    return _taken(loaded, Question("udp://127.0.0.1:53", client=client))


def _taken(loaded: Loaded, question: Question) -> str:
    found = answer(routing(loaded), question, lambda *_: "")
    if found.won is None:
        return "nobody"
    name = found.won.route.partition("#")[0]
    return name if found.won.outcome.kind == "forward" else f"{name} closed"


def test_without_an_error_nothing_is_closed() -> None:
    loaded = Provider().load(BASE)
    assert not loaded.quarantined
    assert connected(loaded, "shop.example") == "shop"
    assert sent(loaded, "10.0.0.1") == "near"
    assert loaded.plan is not None
    assert not any(map(is_closed, loaded.plan.objects.values()))


def test_a_broken_tcp_route_that_never_served_is_closed_alone() -> None:
    loaded = Provider().load({**BASE, TCP: {**SHOP, **BROKEN}})
    assert forms(loaded) == {"shop": "closed"}
    assert connected(loaded, "shop.example") == "shop closed"
    assert connected(loaded, "other.example") == "sub"
    assert connected(loaded, "shop.test") == connected(loaded) == "rest"
    assert sent(loaded, "10.0.0.1") == "near"


def test_a_broken_udp_route_that_never_served_is_closed_alone() -> None:
    loaded = Provider().load({**BASE, UDP: {**NEAR, **BROKEN}})
    assert forms(loaded) == {"near": "closed"}
    assert sent(loaded, "10.0.0.1") == "near closed"
    assert sent(loaded, "127.0.0.1") == "far"
    assert connected(loaded, "shop.example") == "shop"


@pytest.mark.parametrize("spec", [BROKEN, None, {"endpoints": ["127.0.0.1:1"], "protocol": "h2c"}])
def test_a_route_whose_upstream_cannot_be_used_is_closed_alone(spec: Json) -> None:
    resources = {**BASE, ("upstreams", "shop"): spec}
    if spec is None:
        del resources["upstreams", "shop"]
    loaded = Provider().load(resources)
    assert connected(loaded, "shop.example") == "shop closed"
    assert connected(loaded, "other.example") == "sub"
    assert sent(loaded, "10.0.0.1") == "near closed"
    assert sent(loaded, "127.0.0.1") == "far"


def test_a_broken_route_serves_its_last_good_form_where_it_was() -> None:
    provider = Provider()
    provider.load(BASE)
    loaded = provider.load({**BASE, TCP: {**SHOP, **BROKEN}, UDP: {**NEAR, **BROKEN}})
    assert forms(loaded) == {"shop": "last good", "near": "last good"}
    assert connected(loaded, "shop.example") == "shop"
    assert sent(loaded, "10.0.0.1") == "near"


def test_a_broken_route_that_moved_is_closed_where_it_is_and_where_it_was() -> None:
    provider = Provider()
    provider.load(BASE)
    moved = {**SHOP, "sni": "new.example", **BROKEN}
    loaded = provider.load({**BASE, TCP: moved, UDP: {**NEAR, "client": "172.16.0.0/12", **BROKEN}})
    assert forms(loaded) == {"shop": "closed", "near": "closed"}
    assert connected(loaded, "shop.example") == connected(loaded, "new.example") == "shop closed"
    assert connected(loaded, "other.example") == "sub"
    assert sent(loaded, "10.0.0.1") == sent(loaded, "172.16.0.1") == "near closed"
    assert forms(provider.load({**BASE, TCP: {**SHOP, **BROKEN}})) == {"shop": "last good"}


@pytest.mark.parametrize("wrong", [{"sni": 7}, {"client": "nowhere"}, {"listeners": 7}])
def test_a_route_whose_place_cannot_be_read_keeps_the_place_it_had(wrong: Json) -> None:
    provider = Provider()
    provider.load(BASE)
    loaded = provider.load({**BASE, TCP: {**SHOP, **wrong}})
    assert connected(loaded, "shop.example") == "shop closed"
    assert connected(loaded, "other.example") == "sub"


@pytest.mark.parametrize(("key", "noun"), [(TCP, "TCP"), (UDP, "UDP")])
def test_a_route_that_could_be_anywhere_refuses_the_whole_config(
    key: tuple[str, str], noun: str
) -> None:
    loaded = Provider().load({**BASE, key: {**BASE[key], "client": "nowhere"}})
    assert loaded.plan is None
    said = f'{noun} route "{key[1]}" was never served, and where it belongs is not known'
    assert any(said in one.message for one in loaded.errors), loaded.errors


def test_a_route_is_closed_on_the_listeners_that_can_have_it() -> None:
    """One that it names speaks HTTP, so that no connection there could be the route's."""
    web: Json = {"address": "127.0.0.1:8000", "default": True}
    resources = {**BASE, ("listeners", "web"): web, TCP: {**SHOP, "listeners": ["raw", "web"]}}
    loaded = Provider().load(resources)
    assert forms(loaded) == {"shop": "closed"}
    assert connected(loaded, "shop.example") == "shop closed"
    alone = Provider().load({**resources, TCP: {**SHOP, "listeners": "web"}})
    assert forms(alone) == {"shop": "closed"}
    assert connected(alone, "shop.example") == "sub"


def test_a_route_on_a_listener_without_tls_that_was_to_end_it_is_closed_by_its_name() -> None:
    loaded = Provider().load({**BASE, TCP: {**SHOP, "tls": "terminate"}})
    assert connected(loaded, "shop.example") == "shop closed"
    assert connected(loaded, "other.example") == "sub"


def test_what_closes_a_place_handles_tls_as_each_of_its_listeners_can() -> None:
    tls = ListenerTls(default_certificate="a")
    listeners = {
        "plain": Listener(("127.0.0.1:1",), "tcp"),
        "secure": Listener(("127.0.0.1:2",), "tcp", tls=tls),
        "both": Listener(("127.0.0.1:3",), "http", tls=tls, detect_timeout_ms=1),
        "web": Listener(("127.0.0.1:4",), "http"),
        "dns": Listener(("127.0.0.1:5",), "udp"),
    }
    written = TcpRoute(tuple(listeners), "shop", sni=("a.example",), tls="terminate")
    made = [one for one in closed(written, listeners, "none") if isinstance(one, TcpRoute)]
    assert [(one.listeners, one.tls) for one in made] == [
        (("plain",), None),
        (("secure",), "terminate"),
        (("both",), "passthrough"),
    ]
    assert {(one.upstream, one.sni) for one in made} == {("none", ("a.example",))}
    (flow,) = closed(UdpRoute(tuple(listeners), "shop"), listeners, "none")
    assert flow.listeners == ("dns",)


def test_a_listener_that_never_opened_takes_its_routes_along_and_no_others() -> None:
    other: Json = {"address": "127.0.0.1:5433", "protocol": "tcp", **BROKEN}
    resources = {
        **BASE,
        ("listeners", "other"): other,
        ("tcp_routes", "there"): {"listeners": "other", "upstream": "app"},
        TCP: {**SHOP, "listeners": ["raw", "other"]},
    }
    loaded = Provider().load(resources)
    assert forms(loaded) == {"other": "absent", "there": "absent"}
    assert connected(loaded, "shop.example") == "shop"


def test_a_last_good_form_does_not_go_to_an_upstream_that_has_become_one_of_http() -> None:
    provider = Provider()
    provider.load(BASE)
    h2: Json = {"endpoints": ["127.0.0.1:9002"], "protocol": "h2c"}
    loaded = provider.load({**BASE, ("upstreams", "shop"): h2})
    assert forms(loaded) == {"shop": "closed", "near": "closed"}
    assert connected(loaded, "shop.example") == "shop closed"


def test_what_an_engine_refuses_of_a_route_closes_it_alone() -> None:
    key = ObjectKey("tcp_route", ObjectName("shop"))
    loaded = Provider().load(BASE, Refusal(key, "nginx has no such time", "timeouts.lifetime"))
    assert forms(loaded) == {"shop": "closed"}
    assert connected(loaded, "shop.example") == "shop closed"
    assert connected(loaded, "other.example") == "sub"


def test_what_closes_a_place_is_no_last_good_form() -> None:
    provider = Provider()
    loaded = provider.load({**BASE, TCP: {**SHOP, **BROKEN}})
    assert loaded.plan is not None
    assert ObjectKey("upstream", ObjectName(NOBODY)) in loaded.plan.objects
    kept = provider.good.objects
    assert ObjectKey("tcp_route", ObjectName("rest")) in kept
    assert ObjectKey("tcp_route", ObjectName("shop")) not in kept
    assert ObjectKey("upstream", ObjectName(NOBODY)) not in kept


@pytest.mark.parametrize("more", [{}, BROKEN])
def test_an_upstream_of_the_name_that_closes_places_stays_another_one(more: Json) -> None:
    own: Json = {"endpoints": ["127.0.0.1:9003"]}
    resources = {
        **BASE,
        ("upstreams", NOBODY): own,
        ("tcp_routes", "own"): {"listeners": "raw", "sni": "own.example", "upstream": NOBODY},
        TCP: {**SHOP, **BROKEN},
    }
    provider = Provider()
    provider.load({key: one for key, one in resources.items() if key != TCP})
    loaded = provider.load({**resources, ("upstreams", NOBODY): {**own, **more}})
    assert loaded.plan is not None
    assert connected(loaded, "own.example").startswith("own")
    names = {k.name for k in loaded.plan.objects if k.kind == "upstream"}
    assert {NOBODY, f"{NOBODY}#"} <= names
    assert connected(loaded, "shop.example") == "shop closed"


def test_check_and_explain_say_what_becomes_of_it() -> None:
    loaded = Provider().load({**BASE, TCP: {**SHOP, **BROKEN}, UDP: {**NEAR, **BROKEN}})
    said = [one.message for one in loaded.diagnostics]
    assert any("(quarantined: its connections are closed at once)" in one for one in said), said
    assert any("(quarantined: its datagrams are dropped)" in one for one in said), said
    one = Question("tcp://127.0.0.1:5432", sni="shop.example")
    lines = list(text(answer(routing(loaded), one, lambda *_: "")))
    assert lines[1:] == [
        "TCP route shop",
        "  sni is shop.example",
        "refused: quarantined: the config of this place has an error; "
        "the connection is reset (no-endpoint)",
    ]
    other = Question("udp://127.0.0.1:53", client="10.0.0.1")
    lines = list(text(answer(routing(loaded), other, lambda *_: "")))
    assert lines[-1].endswith("the datagrams are dropped (no-endpoint)")


# The property: whatever is broken, nothing that a route took is taken by another one.

NAMES = ("r0", "r1", "r2", "r3")
SNI = ("", "*", "*.example", "a.example", "b.a.example")
CLIENTS = ("", "127.0.0.0/8", "127.0.0.1")


@st.composite
def configs(draw: st.DrawFn) -> dict[tuple[str, str], Json]:
    found = {k: v for k, v in BASE.items() if k[0] in ("listeners", "upstreams")}
    pairs = st.tuples(st.sampled_from(SNI), st.sampled_from(CLIENTS))
    drawn = draw(st.lists(pairs, min_size=1, max_size=4, unique=True))
    for name, (sni, client) in zip(NAMES, drawn, strict=False):
        route = {"sni": sni, "client": client, "upstream": draw(st.sampled_from(("app", "shop")))}
        kept = {key: value for key, value in route.items() if value}
        found["tcp_routes", name] = {"listeners": "raw", **kept}
    for name, client in zip(NAMES, draw(st.permutations(CLIENTS)), strict=False):
        kept = {"client": client} if client else {}
        found["udp_routes", name] = {"listeners": "dns", "upstream": "app", **kept}
    return found


def taken(loaded: Loaded) -> Mapping[str, str]:
    """Who takes each of some connections and datagrams."""
    clients = ("127.0.0.1", "127.0.0.2", "192.0.2.1")
    names = (None, "a.example", "b.a.example", "c.example", "other.test")
    tcp = {f"{c} {n}": connected(loaded, n, c) for c in clients for n in names}
    return tcp | {c: sent(loaded, c) for c in clients}


@settings(max_examples=100, deadline=None)
@given(configs(), st.data())
def test_nothing_that_a_route_took_is_taken_by_another_route(
    resources: dict[tuple[str, str], Json], data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(k for k in resources if k[0] != "listeners")))
    wrong: list[Json] = [{**resources[key], **BROKEN}, {**resources[key], "client": 7}]
    provider = Provider()
    before = taken(provider.load(resources))
    has_served = data.draw(st.booleans())
    after = (provider if has_served else Provider()).load(
        {**resources, key: data.draw(st.sampled_from([BROKEN, *wrong]))}
    )
    if after.plan is None:
        assert not has_served
        return
    for what, now in taken(after).items():
        assert now.removesuffix(" closed") == before[what], what
        if now.endswith(" closed"):
            assert not has_served or key[0] != "upstreams"
