"""The listeners that routes take by default, where one of them has a mistake."""

from pathlib import Path

import pytest
from hosted import Ask, answered, route_at
from quarantining import Provider, forms

from headgate.compile.loaded import Loaded
from headgate.fleet.manifest import Json

BROKEN = {"no-such-key": 1}
OUTSIDE, INSIDE = "0.0.0.0:80", "127.0.0.1:8081"
PUBLIC: Json = {"address": OUTSIDE}
BASE: dict[tuple[str, str], Json] = {
    ("listeners", "public"): PUBLIC,
    ("listeners", "inside"): {"address": INSIDE, "default": True},
    ("upstreams", "shop"): {"endpoints": ["127.0.0.1:9001"]},
    ("upstreams", "staff"): {"endpoints": ["127.0.0.1:9002"]},
    ("routes", "www"): {"listeners": ["public"], "hosts": ["www.example"], "upstream": "shop"},
    ("routes", "dash"): {"upstream": "staff"},
}


def outside(loaded: Loaded, host: str) -> str | None:
    """The route that answers a request that comes from outside; None where none does."""
    return route_at(loaded, OUTSIDE, host)


@pytest.mark.parametrize(
    "wrong",
    [{"default": "false"}, {"default": None}, {"default": 0}, {"defaults": {}}, {"default_on": 1}],
)
def test_a_broken_listener_is_a_default_one_only_if_it_was(wrong: Json) -> None:
    provider = Provider()
    provider.load(BASE)
    loaded = provider.load({**BASE, ("listeners", "public"): {**PUBLIC, **wrong}})
    assert forms(loaded) == {"public": "last good"}
    assert outside(loaded, "any.example") is None
    assert outside(loaded, "www.example") == "www"
    assert answered(loaded, Ask(INSIDE, "any.example", "/")) is not None


@pytest.mark.parametrize("wrong", [{"default": False, **BROKEN}, BROKEN, {"default": "no"}])
def test_a_broken_listener_that_was_a_default_one_stays_one(wrong: Json, tmp_path: Path) -> None:
    provider = Provider()
    base = {**BASE, ("listeners", "public"): {**PUBLIC, "default": True}}
    provider.load(base)
    for _ in range(2):
        loaded = provider.load({**base, ("listeners", "public"): {**PUBLIC, **wrong}})
        assert forms(loaded) == {"public": "last good"}
        assert outside(loaded, "any.example") == "dash"
        provider.restart(tmp_path)


def test_where_no_listener_is_known_to_be_a_default_one_the_rest_is_served() -> None:
    base = {key: one for key, one in BASE.items() if key[1] not in ("inside", "dash")}
    provider = Provider()
    provider.load(base)
    dash = BASE["routes", "dash"]
    broken = {**base, ("listeners", "public"): {**PUBLIC, "default": 1}, ("routes", "dash"): dash}
    loaded = provider.load(broken)
    assert forms(loaded) == {"public": "last good", "dash": "absent"}
    assert outside(loaded, "any.example") is None
    assert outside(loaded, "www.example") == "www"
