"""A broken object of a provider: its neighbours serve on, and nothing that it closed opens."""

from pathlib import PurePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_files import MemoryFiles
from quarantining import Provider, forms

from headgate.compile.closed import STATUS, is_closed
from headgate.compile.compiler import Compiler
from headgate.compile.loaded import Loaded
from headgate.compile.quarantine import Refusal
from headgate.compile.routing import Question, Routing
from headgate.fleet.manifest import Json, resource_bytes
from headgate.kernel.diagnostics import Severity
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.objects import Route

BCRYPT = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
BROKEN = {"no-such-key": 1}
LISTENER: Json = {"address": "127.0.0.1:8000", "default": True}
BASE: dict[tuple[str, str], Json] = {
    ("listeners", "web"): LISTENER,
    ("upstreams", "app"): {"endpoints": ["127.0.0.1:9001"]},
    ("upstreams", "secret"): {"endpoints": ["127.0.0.1:9002"]},
    ("middlewares", "guard"): {"respond": {"status": 403}},
    ("routes", "all"): {"upstream": "app"},
    ("routes", "admin"): {
        "match": {"path": {"prefix": "/admin"}},
        "middlewares": ["guard"],
        "upstream": "secret",
    },
}


def answered(loaded: Loaded, url: str) -> str:
    """Who takes a request: `NAME`, `NAME 503` if it is closed, `nobody`."""
    assert loaded.plan is not None, [str(one) for one in loaded.diagnostics]
    routing = Routing(loaded.plan, loaded.secrets, loaded.blobs)
    found = routing.find(routing.request(Question(url)))
    if found is None:
        return "nobody"
    name = found.route
    entry = next(e for k, e in loaded.plan.objects.items() if k == ("route", name))
    return f"{name.partition('#')[0]} {STATUS}" if is_closed(entry) else name


def changed(**specs: Json) -> dict[tuple[str, str], Json]:
    """BASE with these objects in place of its own, `kind__name`; None removes one."""
    found = dict(BASE)
    for path, spec in specs.items():
        section, _, name = path.partition("__")
        found[section, name] = spec
        if spec is None:
            del found[section, name]
    return found


def test_without_an_error_nothing_is_quarantined() -> None:
    loaded = Provider().load(BASE)
    assert not loaded.quarantined
    assert not loaded.diagnostics
    assert answered(loaded, "http://a.example/admin") == "admin"


def test_a_broken_route_serves_its_last_good_form_where_it_was() -> None:
    provider = Provider()
    provider.load(BASE)
    admin = BASE["routes", "admin"]
    loaded = provider.load(changed(routes__admin={**admin, **BROKEN}))
    assert forms(loaded) == {"admin": "last good"}
    assert answered(loaded, "http://a.example/admin") == "admin"
    (warning,) = loaded.diagnostics
    assert warning.severity is Severity.WARNING
    assert warning.file == "routes/admin.json"
    assert "its last good form is served" in warning.message


@pytest.mark.parametrize(
    "other",
    [
        {"middlewares": []},
        {"match": {"path": {"prefix": "/intern"}}},
        {"hosts": "other.example"},
        {"priority": 5},
    ],
)
def test_a_broken_route_is_closed_where_it_is_and_was_if_its_place_or_middlewares_changed(
    other: Json,
) -> None:
    provider = Provider()
    provider.load(BASE)
    admin = {**BASE["routes", "admin"], **other}
    loaded = provider.load(changed(routes__admin={**admin, **BROKEN}))
    assert forms(loaded) == {"admin": "closed"}
    assert answered(loaded, "http://a.example/admin") == "admin 503"
    path = "/intern" if "match" in other else "/admin"
    host = other.get("hosts", "a.example")
    assert answered(loaded, f"http://{host}{path}") == "admin 503"
    assert answered(loaded, "http://a.example/") == "all"


def test_a_broken_route_that_never_served_is_closed_where_it_is_written() -> None:
    admin = {**BASE["routes", "admin"], **BROKEN}
    loaded = Provider().load(changed(routes__admin=admin))
    assert answered(loaded, "http://a.example/admin/x") == "admin 503"
    assert answered(loaded, "http://a.example/") == "all"


def test_a_route_whose_place_is_unreadable_keeps_the_place_it_had() -> None:
    provider = Provider()
    provider.load(BASE)
    broken = {"match": {"path": {"prefix": 7}}, "upstream": "secret"}
    loaded = provider.load(changed(routes__admin=broken))
    assert answered(loaded, "http://a.example/admin") == "admin 503"


@pytest.mark.parametrize(
    "broken",
    [
        {"match": {"path": {"prefix": 7}}},
        {"host": "a.example", "match": {"path": {"prefix": "/admin"}}},
        {"match": {"path": {"prefix": "${env:PLACE}"}}, **BROKEN},
    ],
)
def test_a_route_that_could_be_anywhere_refuses_the_whole_config(broken: dict[str, Json]) -> None:
    loaded = Provider().load(changed(routes__admin={**broken, "upstream": "secret"}))
    assert loaded.plan is None
    assert any("where it belongs is not known" in one.message for one in loaded.errors)


def test_a_quarantine_does_not_forget_the_last_good_form() -> None:
    provider = Provider()
    provider.load(BASE)
    admin = BASE["routes", "admin"]
    provider.load(changed(routes__admin={**admin, "middlewares": [], **BROKEN}))
    loaded = provider.load(changed(routes__admin={**admin, **BROKEN}))
    assert forms(loaded) == {"admin": "last good"}
    assert answered(provider.load(BASE), "http://a.example/admin") == "admin"


@pytest.mark.parametrize(
    "spec",
    [
        BROKEN,
        {"respond": {"status": "x"}},
        {"ip_access": {"deny": ["nowhere"]}},
        {"api_key": {"keys": {"shop": "guessed"}}},
        {"basic_auth": {"users": {"file": "gone"}}},
        {"basic_auth": {"users": ["alice:$2b$31$" + "C" * 53]}},
        {"jwt": {"keys": '{"keys":[]}'}},
        {"forward_auth": {"upstream": "secret", "path": "no path"}},
        {"forward_auth": {"upstream": "nowhere"}},
        None,
    ],
)
def test_a_middleware_that_is_broken_or_missing_closes_its_routes(spec: Json) -> None:
    provider = Provider()
    provider.load(BASE)
    loaded = provider.load(changed(middlewares__guard=spec))
    assert answered(loaded, "http://a.example/admin") == "admin 503"
    assert answered(loaded, "http://a.example/") == "all"


def test_a_broken_upstream_keeps_its_last_good_form() -> None:
    provider = Provider()
    provider.load(BASE)
    loaded = provider.load(changed(upstreams__secret=BROKEN))
    assert forms(loaded) == {"secret": "last good"}
    assert answered(loaded, "http://a.example/admin") == "admin"


def test_a_broken_upstream_that_never_served_closes_its_routes() -> None:
    loaded = Provider().load(changed(upstreams__secret=BROKEN))
    assert forms(loaded) == {"secret": "absent", "admin": "closed"}
    assert answered(loaded, "http://a.example/admin") == "admin 503"
    assert answered(loaded, "http://a.example/") == "all"


def test_a_broken_upstream_that_a_middleware_asks_closes_its_routes() -> None:
    asks = {"forward_auth": {"upstream": "auth"}}
    admin = {**BASE["routes", "admin"], "middlewares": [asks]}
    for chain in ({"middlewares__guard": asks}, {"routes__admin": admin}):
        loaded = Provider().load(changed(upstreams__auth=BROKEN, **chain))
        assert forms(loaded)["auth"] == "absent"
        assert forms(loaded)["admin"] == "closed"
        assert answered(loaded, "http://a.example/admin") == "admin 503"
        assert answered(loaded, "http://a.example/") == "all"


def test_a_missing_upstream_closes_its_routes() -> None:
    loaded = Provider().load(changed(upstreams__secret=None))
    assert answered(loaded, "http://a.example/admin") == "admin 503"


HOSTED = {
    **BASE,
    ("hosts", "a.example"): {"middlewares": ["guard"]},
    ("routes", "shop"): {
        "hosts": ["a.example", "b.example"],
        "match": {"path": {"prefix": "/shop"}},
        "upstream": "app",
    },
}


@pytest.mark.parametrize("broken", [("hosts", "a.example"), ("middlewares", "guard")])
def test_a_broken_host_is_closed_for_every_route_and_no_other_host(
    broken: tuple[str, str],
) -> None:
    provider = Provider()
    provider.load(HOSTED)
    loaded = provider.load({**HOSTED, broken: BROKEN})
    assert answered(loaded, "http://a.example/shop").endswith(" 503")
    assert answered(loaded, "http://a.example/else").endswith(" 503")
    assert answered(loaded, "http://b.example/shop") == "shop"
    assert answered(loaded, "http://c.example/") == "all"


@pytest.mark.parametrize(
    "broken",
    [
        {("hosts", "a.example"): BROKEN},
        {
            ("routes", "both"): {
                "hosts": "a.example",
                "listeners": ["web", "raw"],
                "upstream": "app",
            }
        },
    ],
)
def test_what_is_closed_of_http_is_closed_on_listeners_of_http_alone(
    broken: dict[tuple[str, str], Json],
) -> None:
    tcp = {
        ("listeners", "raw"): {"address": "127.0.0.1:8100", "protocol": "tcp"},
        ("tcp_routes", "raw"): {"listeners": "raw", "upstream": "app"},
    }
    loaded = Provider().load({**HOSTED, **tcp, **broken})
    assert answered(loaded, "http://a.example/else").endswith(" 503")
    assert loaded.plan is not None
    closed = [one.value for one in loaded.plan.objects.values() if is_closed(one)]
    assert [one.listeners for one in closed if isinstance(one, Route)] == [("web",)] * len(closed)


def test_a_host_that_is_broken_from_the_start_is_closed_below_a_wildcard_too() -> None:
    resources = {
        **BASE,
        ("hosts", "*.example"): BROKEN,
        ("routes", "sub"): {"hosts": "x.example", "upstream": "app"},
    }
    loaded = Provider().load(resources)
    assert answered(loaded, "http://x.example/") == "sub 503"
    assert answered(loaded, "http://y.example/").endswith(" 503")
    assert answered(loaded, "http://other.test/") == "all"


def test_a_broken_listener_keeps_its_last_good_form() -> None:
    provider = Provider()
    provider.load(BASE)
    loaded = provider.load(changed(listeners__web={**LISTENER, **BROKEN}))
    assert forms(loaded) == {"web": "last good"}
    assert answered(loaded, "http://a.example/") == "all"


def test_a_broken_listener_that_never_opened_leaves_the_others() -> None:
    other = {"address": "127.0.0.1:8001", "default": True, **BROKEN}
    loaded = Provider().load(changed(listeners__other=other))
    assert forms(loaded) == {"other": "absent"}
    assert answered(loaded, "http://a.example/") == "all"


def test_what_only_the_core_refuses_is_quarantined_too() -> None:
    provider = Provider()
    provider.load(BASE)
    admin = {**BASE["routes", "admin"], "match": {"path": {"regex": "/admin/(?:"}}}
    loaded = provider.load(changed(routes__admin=admin))
    assert answered(loaded, "http://a.example/admin") == "admin 503"
    assert answered(loaded, "http://a.example/") == "all"


def test_an_error_that_is_of_no_object_refuses_the_whole_config() -> None:
    resources = {**BASE, ("gadgets", "one"): {}, ("routes", "admin"): BROKEN}
    loaded = Provider().load(resources)
    assert loaded.plan is None
    assert len(loaded.errors) > 1, "every error is said, also those that could be isolated"


def test_files_of_people_are_refused_whole() -> None:
    text = resource_bytes({"listeners": {"web": LISTENER}, "routes": {"all": BROKEN}})
    loaded = Compiler().load([PurePath("a.json")], MemoryFiles({"a.json": text}), {})
    assert loaded.plan is None
    assert not loaded.quarantined


# The property: whatever is broken, no request that a route took is answered by another one.

NAMES = ("r0", "r1", "r2", "r3")
HOSTS = ("*", "*.example", "a.example", "b.a.example")
PATHS = ("/", "/a", "/a/b", "/c")

route_specs = st.fixed_dictionaries(
    {
        "hosts": st.lists(st.sampled_from(HOSTS), min_size=1, max_size=2, unique=True),
        "match": st.sampled_from(PATHS).map(lambda path: {"path": {"prefix": path}}),
        "upstream": st.sampled_from(("app", "secret")),
        "middlewares": st.sampled_from(([], ["guard"], ["other"])),
    },
    optional={"priority": st.integers(-1, 1)},
)
host_specs = st.dictionaries(
    st.sampled_from(HOSTS), st.sampled_from(({}, {"middlewares": ["guard"]})), max_size=2
)


@st.composite
def configs(draw: st.DrawFn) -> dict[tuple[str, str], Json]:
    found = {k: v for k, v in BASE.items() if k[0] != "routes"}
    found["middlewares", "other"] = {"response_headers": {"set": {"x-other": "1"}}}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)):
        found["routes", name] = draw(route_specs)
    for name, spec in draw(host_specs).items():
        found["hosts", name] = spec
    return found


def asked() -> list[str]:
    hosts = ("a.example", "b.a.example", "c.example", "other.test")
    return [f"http://{host}{path}/x" for host in hosts for path in ("", "/a", "/a/b", "/c")]


def owner(loaded: Loaded, url: str) -> tuple[str, bool]:
    """The route that takes a request by the name it has in the config, and whether it is closed."""
    found = answered(loaded, url)
    return found.removesuffix(f" {STATUS}"), found.endswith(f" {STATUS}")


@settings(max_examples=150, deadline=None)
@given(configs(), st.data())
def test_no_request_that_a_route_took_is_answered_by_another_route(
    resources: dict[tuple[str, str], Json], data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(resources)))
    spec = data.draw(
        st.sampled_from([BROKEN, {**resources[key], **BROKEN}, {**resources[key], "match": 7}])
    )
    provider = Provider()
    before = provider.load(resources)
    assert before.plan is not None, [str(one) for one in before.diagnostics]
    after = provider.load({**resources, key: spec})
    if after.plan is None:  # without it no route would have a listener
        assert key == ("listeners", "web")
        return
    for url in asked():
        name, _ = owner(before, url)
        now, is_closed_now = owner(after, url)
        assert now == name or is_closed_now, f"{url}: {name} took it, {now} answers"
        if is_closed_now or name == "nobody":
            continue
        entry = after.plan.objects[ObjectKey("route", now)]  # type: ignore[arg-type]
        old = before.plan.objects[ObjectKey("route", now)]  # type: ignore[arg-type]
        route, was = entry.value, old.value
        assert isinstance(route, Route)
        assert isinstance(was, Route)
        assert route.middlewares == was.middlewares
        guards = {use.use for use in was.middlewares}
        assert key != ("middlewares", "guard") or "guard" not in guards


def refusal(kind: Kind, name: str, *, is_last_refused: bool = False) -> Refusal:
    """What nginx says of an object that has no error for us."""
    key = ObjectKey(kind, ObjectName(name))
    return Refusal(key, "nginx does not know it", is_last_refused=is_last_refused)


def test_what_an_engine_refuses_is_quarantined_like_an_error_of_the_text() -> None:
    provider = Provider()
    provider.load(BASE)
    later = changed(upstreams__secret={"endpoints": ["127.0.0.1:9003"]})
    loaded = provider.load(later, refusal("upstream", "secret"))
    assert forms(loaded) == {"secret": "last good"}
    (warning,) = loaded.diagnostics
    assert (warning.file, warning.severity) == ("upstreams/secret.json", Severity.WARNING)
    assert "nginx does not know it" in warning.message
    assert "its last good form is served" in warning.message
    assert forms(provider.load(later)) == {}


def test_a_last_good_form_that_an_engine_refuses_is_not_served_and_not_forgotten() -> None:
    provider = Provider()
    provider.load(BASE)
    admin: Json = {**BASE["routes", "admin"], "upstream": "app"}
    later = changed(routes__admin=admin)
    loaded = provider.load(later, refusal("route", "admin", is_last_refused=True))
    assert forms(loaded) == {"admin": "closed"}
    assert answered(loaded, "http://a.example/admin") == "admin 503"
    assert forms(provider.load(later, refusal("route", "admin"))) == {"admin": "last good"}


def test_what_an_engine_refuses_of_no_object_refuses_the_whole_config() -> None:
    provider = Provider()
    provider.load(BASE)
    loaded = provider.load(BASE, refusal("route", "admin#quarantined"))
    assert loaded.plan is None
    assert "nginx does not know it" in loaded.errors[0].message


WEAK = '{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}'
GOOD_SET = (
    '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
)


@pytest.mark.parametrize(
    "inline",
    [
        {"jwt": {"keys": WEAK}},
        {"jwt": {"keys": {"file": "secrets/none"}}},
        {"jwt": {"keys": {"url": "http://login.example/keys"}}},
        {"basic_auth": {"users": ["alice:nonsense"]}},
        {"basic_auth": {"users": {"file": "secrets/none"}}},
    ],
)
def test_a_route_with_a_broken_middleware_of_its_own_is_closed_alone(inline: Json) -> None:
    broken = {**BASE["routes", "admin"], "middlewares": [inline]}
    fresh = Provider().load(changed(routes__admin=broken))
    assert forms(fresh) == {"admin": "closed"}
    assert answered(fresh, "http://a.example/admin") == f"admin {STATUS}"
    assert answered(fresh, "http://a.example/") == "all"
    # Also where an earlier form without any middleware was served: that would be open.
    provider = Provider()
    provider.load(changed(routes__admin={**BASE["routes", "admin"], "middlewares": []}))
    loaded = provider.load(changed(routes__admin=broken))
    assert answered(loaded, "http://a.example/admin") == f"admin {STATUS}"


def test_a_broken_route_keeps_its_place_whatever_its_own_middlewares_read() -> None:
    inline: Json = [{"jwt": {"keys": GOOD_SET}}, {"basic_auth": {"users": [f"alice:{BCRYPT}"]}}]
    route = {**BASE["routes", "admin"], "middlewares": inline}
    provider = Provider()
    provider.load(changed(routes__admin=route))
    loaded = provider.load(changed(routes__admin={**route, **BROKEN}))
    assert forms(loaded) == {"admin": "last good"}
