"""What is served beside a last good form: what was served with it, and nothing that it opens."""

from pathlib import Path

import pytest
from hosted import Ask, answered, route_at
from quarantining import Provider, Resources, forms

from headgate.compile.beside import split
from headgate.compile.closed import CLOSED
from headgate.compile.loaded import Loaded
from headgate.compile.quarantine import Refusal
from headgate.compile.standing import at
from headgate.fleet.manifest import Json
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.objects import Route

BROKEN = {"no-such-key": 1}
OUTSIDE, INSIDE = "0.0.0.0:80", "127.0.0.1:8081"
PUBLIC: Json = {"address": OUTSIDE}
BASE: dict[tuple[str, str], Json] = {
    ("listeners", "public"): PUBLIC,
    ("listeners", "inside"): {"address": INSIDE, "default": True},
    ("upstreams", "shop"): {"endpoints": ["127.0.0.1:9001"]},
    ("upstreams", "staff"): {"endpoints": ["127.0.0.1:9002"]},
    ("middlewares", "guard"): {"respond": {"status": 403}},
    ("routes", "www"): {"listeners": ["public"], "hosts": ["www.example"], "upstream": "shop"},
    ("routes", "dash"): {"upstream": "staff"},
}
MOVED: Json = {"address": "127.0.0.1:8082", **BROKEN}


def outside(loaded: Loaded, url: str) -> str | None:
    """The route that answers a request that comes from outside; None where none does."""
    return route_at(loaded, OUTSIDE, url)


def refusal(kind: Kind, name: str) -> Refusal:
    return Refusal(ObjectKey(kind, ObjectName(name)), "address already in use", "address")


def why(loaded: Loaded, kind: Kind, name: str) -> str:
    return loaded.quarantined[ObjectKey(kind, ObjectName(name))].why


NEW: Json = {"listeners": ["public"], "hosts": ["staff.example"], "upstream": "staff"}


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_new_route_is_closed_on_a_listener_that_did_not_move(
    is_refused: bool, tmp_path: Path
) -> None:
    provider = Provider()
    provider.load(BASE)
    public = {"address": "127.0.0.1:8082"} if is_refused else MOVED
    later = {**BASE, ("listeners", "public"): public, ("routes", "new"): NEW}
    refused = [refusal("listener", "public")] if is_refused else []
    for _ in range(3):
        loaded = provider.load(later, *refused)
        assert forms(loaded) == {"public": "last good", "new": "closed"}
        assert 'listener "public"' in why(loaded, "route", "new")
        assert outside(loaded, "staff.example/") is None
        assert outside(loaded, "www.example/") == "www"
        provider.restart(tmp_path)
    repaired = provider.load({**later, ("listeners", "public"): PUBLIC})
    assert forms(repaired) == {}
    assert outside(repaired, "staff.example/") == "new"


def test_a_new_route_is_closed_on_that_listener_alone() -> None:
    provider = Provider()
    provider.load(BASE)
    both: Json = {**NEW, "listeners": ["public", "inside"]}
    loaded = provider.load({**BASE, ("listeners", "public"): MOVED, ("routes", "new"): both})
    assert forms(loaded) == {"public": "last good", "new": "closed"}
    assert outside(loaded, "staff.example/") is None
    found = answered(loaded, Ask(INSIDE, "staff.example", "/"))
    assert found is not None
    assert found.route == "new"


@pytest.mark.parametrize(
    "edit",
    [{"hosts": ["www.example", "staff.example"]}, {"priority": 3}, {"middlewares": ["guard"]}],
)
def test_a_route_that_stands_elsewhere_now_is_closed_there_and_where_it_was(edit: Json) -> None:
    provider = Provider()
    base = {**BASE, ("routes", "rest"): {"listeners": ["public"], "upstream": "shop"}}
    provider.load(base)
    www: Json = {**BASE["routes", "www"], "match": {"path": {"prefix": "/a"}}, **edit}
    provider.load({**base, ("routes", "www"): {**www, "upstream": "staff"}})
    later = {**base, ("listeners", "public"): MOVED, ("routes", "www"): BASE["routes", "www"]}
    for _ in range(2):
        loaded = provider.load(later)
        assert outside(loaded, "www.example/a") is None
        assert outside(loaded, "www.example/") is None
        assert outside(loaded, "staff.example/b") in (None, "rest")


def test_a_route_with_another_action_keeps_the_one_that_it_had_with_the_listener() -> None:
    provider = Provider()
    provider.load(BASE)
    www: Json = {**BASE["routes", "www"], "upstream": "staff"}
    later = {**BASE, ("listeners", "public"): MOVED, ("routes", "www"): www}
    for _ in range(2):
        loaded = provider.load(later)
        assert forms(loaded) == {"public": "last good", "www": "last good"}
        found = answered(loaded, Ask(OUTSIDE, "www.example", "/"))
        assert found is not None
        assert "shop" in found.does


def test_a_laxer_middleware_does_not_count_on_a_listener_that_did_not_move(
    tmp_path: Path,
) -> None:
    provider = Provider()
    guarded = {**BASE["routes", "www"], "middlewares": ["guard"]}
    base = {**BASE, ("routes", "www"): guarded}
    provider.load(base)
    lax: Json = {"response_headers": {"set": {"x-lax": "1"}}}
    later = {**base, ("listeners", "public"): MOVED, ("middlewares", "guard"): lax}
    for _ in range(3):
        loaded = provider.load(later)
        assert forms(loaded) == {"public": "last good", "www": "closed"}
        assert outside(loaded, "www.example/") is None
        provider.restart(tmp_path)
    assert (
        forms(provider.load({**later, ("middlewares", "guard"): base["middlewares", "guard"]}))[
            "public"
        ]
        == "last good"
    )


def test_what_a_removed_route_closed_is_open_to_no_other() -> None:
    admin: Json = {
        "listeners": ["public"],
        "match": {"path": {"prefix": "/admin"}},
        "hosts": ["www.example"],
        "middlewares": ["guard"],
        "upstream": "shop",
    }
    provider = Provider()
    provider.load({**BASE, ("routes", "admin"): admin})
    later = {**BASE, ("listeners", "public"): MOVED}
    for _ in range(2):
        loaded = provider.load(later)
        assert forms(loaded) == {"public": "last good", "admin": "closed"}
        assert outside(loaded, "www.example/admin/x") is None
        assert outside(loaded, "www.example/") == "www"
    assert forms(provider.load(BASE)) == {}


def test_a_name_that_a_removed_route_had_is_open_to_none_of_a_wider_name() -> None:
    rest: Json = {"listeners": ["public"], "upstream": "shop"}
    provider = Provider()
    provider.load({**BASE, ("routes", "rest"): rest})
    later = {**BASE, ("routes", "rest"): rest, ("listeners", "public"): MOVED}
    del later["routes", "www"]
    loaded = provider.load(later)
    assert outside(loaded, "www.example/") is None
    assert outside(loaded, "other.example/") == "rest"


@pytest.mark.parametrize("more", [[], ["0.0.0.0:90"]])
def test_an_address_that_another_listener_has_now_is_no_longer_that_of_a_broken_one(
    more: list[str],
) -> None:
    old: Json = {"address": [OUTSIDE, *more]}
    base = {**BASE, ("listeners", "public"): old}
    provider = Provider()
    provider.load(base)
    later = {
        **base,
        ("listeners", "public"): MOVED,
        ("listeners", "fresh"): {"address": OUTSIDE},
        ("routes", "new"): {"listeners": ["fresh"], "upstream": "shop"},
    }
    for _ in range(2):
        loaded = provider.load(later)
        assert forms(loaded)["public"] == ("last good" if more else "absent")
        assert outside(loaded, "www.example/") == "new"
        found = [answered(loaded, Ask(one, "www.example", "/")) for one in more]
        assert [one.route if one is not None else None for one in found] == ["www"] * len(more)
    assert forms(provider.load({**base, ("listeners", "public"): {**old, **BROKEN}})) == {
        "public": "last good"
    }


def test_endpoints_times_and_other_listeners_go_on_changing() -> None:
    provider = Provider()
    provider.load(BASE)
    later = {
        **BASE,
        ("listeners", "public"): {**PUBLIC, **BROKEN},
        ("upstreams", "shop"): {"endpoints": ["127.0.0.1:9003"]},
        ("routes", "dash"): {"upstream": "shop"},
        ("routes", "www"): {**BASE["routes", "www"], "timeouts": {"request": "7s"}},
    }
    loaded = provider.load(later)
    assert forms(loaded) == {"public": "last good", "www": "last good"}
    found = answered(loaded, Ask(INSIDE, "any.example", "/"))
    assert found is not None
    assert "shop" in found.does


KEYS = '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"%s"}]}'
ONE_KEY = KEYS % "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
OTHER_KEY = KEYS % "ET6YX-1A-BnybeGkItv0-PfugQF2veX-bDcM1f-Fc2E"


def test_keys_of_tokens_change_as_their_issuer_wants() -> None:
    def guarded(keys: str) -> Resources:
        www: Json = {**BASE["routes", "www"], "middlewares": ["guard"]}
        return {**BASE, ("middlewares", "guard"): {"jwt": {"keys": keys}}, ("routes", "www"): www}

    provider = Provider()
    provider.load(guarded(ONE_KEY))
    loaded = provider.load({**guarded(OTHER_KEY), ("listeners", "public"): MOVED})
    assert forms(loaded) == {"public": "last good"}
    found = answered(loaded, Ask(OUTSIDE, "www.example", "/"))
    assert found is not None
    assert "ET6YX" in found.through[0]


def test_what_falls_to_a_last_good_form_is_closed_on_each_listener() -> None:
    """The route goes back to that form because of one of its listeners."""
    both = ["public", "inside"]
    rest: Json = {"listeners": both, "upstream": "shop"}
    admin: Json = {"listeners": ["inside"], "match": {"path": {"prefix": "/admin"}}}
    base = {
        **BASE,
        ("routes", "dash"): rest,
        ("routes", "admin"): {**admin, "respond": {"status": 403}},
    }
    provider = Provider()
    provider.load(base)
    later = {
        **base,
        ("listeners", "public"): MOVED,
        ("routes", "dash"): {**rest, "upstream": "staff"},
    }
    del later["routes", "admin"]
    loaded = provider.load(later)
    assert forms(loaded) == {"public": "last good", "dash": "last good", "admin": "closed"}
    assert answered(loaded, Ask(INSIDE, "any.example", "/admin")) is None


def test_a_route_stays_open_as_one_route_where_it_is_open_for_all_its_names() -> None:
    route = Route(("a", "b"), ("l", "m"), CLOSED)
    kept, shut = split(route, [("l", "a")])
    assert kept == at(route, ["m"], ["a", "b"])
    assert shut == (at(route, ["l"], ["a", "b"]),)
    kept, shut = split(route, [("l", "a"), ("m", "a")])
    assert kept == at(route, ["l", "m"], ["b"])
    assert shut == (at(route, ["l", "m"], ["a"]),)
    kept, shut = split(route, [("l", "a"), ("m", "b")])
    assert kept is None
    assert shut == (at(route, ["l", "m"], ["a", "b"]),)


# Other parts that have last good forms.


def test_a_new_route_does_not_lead_to_where_a_broken_upstream_was() -> None:
    provider = Provider()
    provider.load(BASE)
    broken: Json = {"endpoints": ["127.0.0.1:9003"], **BROKEN}
    new = {**NEW, "hosts": ["new.example"]}
    loaded = provider.load({**BASE, ("upstreams", "staff"): broken, ("routes", "new"): new})
    assert forms(loaded) == {"staff": "last good", "new": "closed"}
    assert 'upstream "staff"' in why(loaded, "route", "new")
    assert outside(loaded, "new.example/") is None
    assert answered(loaded, Ask(INSIDE, "any.example", "/")) is not None


def test_a_new_route_is_not_judged_by_where_a_broken_upstream_was() -> None:
    base = {**BASE, ("middlewares", "auth"): {"forward_auth": {"upstream": "staff"}}}
    provider = Provider()
    provider.load(base)
    new = {**NEW, "upstream": "shop", "middlewares": ["auth"]}
    loaded = provider.load({**base, ("upstreams", "staff"): BROKEN, ("routes", "new"): new})
    assert forms(loaded) == {"staff": "last good", "new": "closed"}


def test_a_removed_guard_does_not_open_a_broken_upstream() -> None:
    admin: Json = {
        "listeners": ["public"],
        "hosts": ["www.example"],
        "match": {"path": {"prefix": "/admin"}},
        "respond": {"status": 403},
    }
    provider = Provider()
    provider.load({**BASE, ("routes", "admin"): admin})
    loaded = provider.load({**BASE, ("upstreams", "shop"): BROKEN})
    assert outside(loaded, "www.example/admin") is None
    assert outside(loaded, "www.example/") == "www"
    # What comes after the routes of a broken upstream is not concerned, nor is another name for it.
    www = BASE["routes", "www"]
    api = {**www, "match": {"path": {"prefix": "/api"}}, "upstream": "staff"}
    base = {**BASE, ("routes", "api"): api, ("routes", "old"): {**www, "priority": 0}}
    del base["routes", "www"]
    provider = Provider()
    provider.load(base)
    later = {**base, ("upstreams", "staff"): BROKEN, ("routes", "site"): www}
    del later["routes", "old"]
    loaded = provider.load(later)
    assert forms(loaded) == {"staff": "last good"}
    assert outside(loaded, "www.example/api") == "api"
    assert outside(loaded, "www.example/") == "site"


@pytest.mark.parametrize(
    ("key", "spec"),
    [
        (("listeners", "inside"), {"address": OUTSIDE, "default": True}),
        (("middlewares", "guard"), {"response_headers": {"set": {"x-lax": "1"}}}),
    ],
)
def test_a_broken_route_serves_its_last_good_form_only_behind_what_guarded_it(
    key: tuple[str, str], spec: Json
) -> None:
    admin: Json = {"hosts": ["admin.example"], "middlewares": ["guard"], "upstream": "staff"}
    base = {**BASE, ("routes", "admin"): admin}
    del base["listeners", "public"], base["routes", "www"]
    provider = Provider()
    provider.load(base)
    assert forms(provider.load({**base, ("routes", "admin"): {**admin, **BROKEN}})) == {
        "admin": "last good"
    }
    later = {**base, ("routes", "admin"): {**admin, **BROKEN}, key: spec}
    for _ in range(2):
        assert forms(provider.load(later)) == {"admin": "closed"}


RAW: Json = {"address": OUTSIDE, "protocol": "tcp"}
STREAMS: dict[tuple[str, str], Json] = {
    ("listeners", "raw"): RAW,
    ("listeners", "dns"): {"address": "0.0.0.0:53", "protocol": "udp"},
    ("upstreams", "shop"): {"endpoints": ["127.0.0.1:9001"]},
    ("tcp_routes", "rest"): {"listeners": "raw", "sni": "*.example", "upstream": "shop"},
    ("tcp_routes", "old"): {"listeners": "raw", "sni": "old.example", "upstream": "shop"},
    ("udp_routes", "near"): {"listeners": "dns", "upstream": "shop"},
}


def test_streams_stay_as_they_were_beside_a_broken_listener(tmp_path: Path) -> None:
    provider = Provider()
    provider.load(STREAMS)
    later: Resources = {
        **{key: one for key, one in STREAMS.items() if key[1] != "old"},
        ("listeners", "raw"): {**RAW, "address": INSIDE, **BROKEN},
        ("listeners", "dns"): {**STREAMS["listeners", "dns"], **BROKEN},
        ("tcp_routes", "new"): {"listeners": "raw", "upstream": "shop"},
        ("udp_routes", "far"): {"listeners": "dns", "client": "10.0.0.0/8", "upstream": "shop"},
    }
    loaded = provider.load(later)
    assert forms(loaded) == {
        "raw": "last good",
        "dns": "last good",
        "new": "closed",
        "old": "closed",
        "far": "closed",
    }
    provider.restart(tmp_path)
    again = forms(provider.load(later))
    assert again == forms(loaded)
