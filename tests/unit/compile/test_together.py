"""Entries compiled together come out as each by itself."""

import json
import random
from collections.abc import Mapping
from pathlib import PurePath
from typing import Final
from unittest.mock import patch

import pytest
from config_text import to_json, to_toml, to_yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_files import MemoryFiles

from headgate.compile import compiler, together
from headgate.compile.compiler import Compiler
from headgate.compile.loaded import Loaded
from headgate.compile.unit import unit
from headgate.model.route import RouteLimits, RouteTimeouts
from headgate.plan.codec import encode
from headgate.plan.digest import object_digest

WRITERS = {"toml": to_toml, "yaml": to_yaml, "json": to_json}
ENV = {"HOST": "env.example", "TOKEN": "hunter2"}
FILES = {"secret.txt": "hunter3\n"}

HOSTS: Final = ["a.example", "B.Example", "*.c.example", "d..e", "x", "${env:HOST}", "*"]
PATHS: Final = [
    "/v1",
    "/v1/",
    "/",
    "v1",
    "/a.b",
    "/%41",
    "/a//b",
    "/Opening-914177",
    "(",
    "/[0-9]+/914177",
]
WORDS: Final = [
    "app",
    "gone",
    "a b",
    "",
    "${host}",
    "$",
    "${jwt:sub}",
    "${env:TOKEN}",
    'ä"\\',
    "a(",
    "Opening-914178",
    ",914177,",
]

host = st.sampled_from(HOSTS)
path = st.builds(
    lambda kind, p: {"path": {kind: p}},
    st.sampled_from(["exact", "prefix", "regex"]),
    st.sampled_from(PATHS),
)
value = st.sampled_from(WORDS) | st.just({"file": "secret.txt"})
edits = st.builds(
    lambda side, edit, v: {f"{side}_headers": {edit: {"x-v": v}}},
    st.sampled_from(["request", "response"]),
    st.sampled_from(["set", "add"]),
    value,
)
condition = st.builds(
    lambda where, how, v: {where: {"x-v": {how: v}}},
    st.sampled_from(["headers", "cookies", "query"]),
    st.sampled_from(["exact", "prefix", "regex"]),
    value,
)
part = st.fixed_dictionaries(
    {"upstream": st.sampled_from(["app", "gone"])},
    optional={"weight": st.sampled_from([0, 1, 2, 3, 914_177, 1_000_000, 1_000_001])},
)
time = st.sampled_from(["off", "1s", "0s", "30s", "60s", "1.5s", "2 m", "1", 5, "914177ms"])
room = st.sampled_from(["off", "500B", "1KiB", "2 KiB", "0B", "1XB", 7, "${env:TOKEN}"])
answer = st.fixed_dictionaries(
    {"status": st.sampled_from([200, 204])},
    optional={"body": value, "headers": st.fixed_dictionaries({"x-v": value})},
)
route = st.fixed_dictionaries(
    {},
    optional={
        "upstream": st.sampled_from(["app", "app", "gone", ""]),
        "hosts": host | st.lists(host, min_size=1, max_size=2),
        "match": path | condition | st.lists(path | condition, max_size=2),
        "middlewares": st.lists(
            edits | st.sampled_from(["mine", "gone"]) | st.builds(lambda a: {"respond": a}, answer),
            max_size=2,
        ),
        "timeouts": st.dictionaries(
            st.sampled_from(["request", "body", "first_byte", "stream_idle"]), time, max_size=2
        ),
        "limits": st.dictionaries(
            st.sampled_from(["body", "body_rate", "body_buffer"]), room, max_size=2
        ),
        "respond": answer,
        "redirect": st.fixed_dictionaries(
            {}, optional={"path": st.sampled_from(PATHS), "prefix": st.sampled_from(PATHS)}
        ),
        "forward_path": st.sampled_from(["raw", "normalised"]),
        "priority": st.sampled_from([-2, 0, 1, 2, 914_177, 1_000_000, 1_000_001, "2", 2.5]),
        "split": st.lists(part, min_size=1, max_size=2),
        "colour": st.just("blue"),
    },
)


def config(routes: Mapping[str, object], listeners: bool = True) -> dict[str, Mapping[str, object]]:
    listener = {"address": "127.0.0.1:8000", "protocol": "http", "default": listeners}
    return {
        "listeners": {"web": listener},
        "upstreams": {"app": {"endpoints": ["127.0.0.1:1"]}},
        "middlewares": {"mine": {"request_headers": {"set": {"x-m": "1"}}}},
        "routes": routes,
    }


def files(document: Mapping[str, Mapping[str, object]], suffix: str) -> MemoryFiles:
    return MemoryFiles({**FILES, f"main.{suffix}": WRITERS[suffix](dict(document))})


def load(kept: Compiler, document: Mapping[str, Mapping[str, object]], suffix: str) -> Loaded:
    return kept.load([PurePath(f"main.{suffix}")], files(document, suffix), ENV)


def both(documents: list[Mapping[str, Mapping[str, object]]], suffix: str) -> None:
    """Loads one document after the other, together and one by one, and compares."""
    one, many = Compiler(), Compiler()
    for document in documents:
        with patch.object(together, "LEAST", 1 << 30):
            alone = load(one, document, suffix)
        with patch.object(together, "LEAST", 2):
            crowd = load(many, document, suffix)
        assert crowd.diagnostics == alone.diagnostics
        assert many._table.units == one._table.units
        assert crowd.secrets == alone.secrets
        assert crowd.watched == alone.watched
        assert (crowd.plan is None) == (alone.plan is None)
        if crowd.plan is not None and alone.plan is not None:
            assert crowd.plan.digest == alone.plan.digest
            assert crowd.plan.objects == alone.plan.objects


@pytest.mark.timeout(400)
@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(route, min_size=1, max_size=4), min_size=1, max_size=3),
    st.sampled_from(sorted(WRITERS)),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_together_and_one_by_one_give_the_same(
    versions: list[list[dict[str, object]]], suffix: str, listeners: bool, chance: random.Random
) -> None:
    names = ["r0", "r 1", "Opening-914177", "r3", "r4", "r5", "r6", "r7"]
    documents: list[Mapping[str, Mapping[str, object]]] = [
        config({name: chance.choice(routes) for name in names}, listeners) for routes in versions
    ]
    both(documents, suffix)


TIMES: Final = ["off", "1s", "0s", "30s", "60s", "300s", "1.5s", "2 m", "1", 5]
ROOMS: Final = ["500B", "1KiB", "2 KiB", "0B", "1XB"]
NUMBERS: Final = [-2, 0, 1, 2, 914_177, 1_000_000, 1_000_001, 200, 204]
VALUES: Final = [*HOSTS, *PATHS, *WORDS, *TIMES, *ROOMS, *NUMBERS]
PLACES: Final = [
    *(f'{{"timeouts": {{"{key}": V}}}}' for key in RouteTimeouts.model_fields),
    *(f'{{"limits": {{"{key}": V}}}}' for key in RouteLimits.model_fields),
    *(f'{{"match": [{{"path": {{"{key}": V}}}}]}}' for key in ("exact", "prefix", "regex")),
    *(f'{{"match": {{"headers": {{"x": {{"{key}": V}}}}}}}}' for key in ("exact", "regex")),
    *(f'{{"match": {{"cookies": {{"x": {{"{key}": V}}}}}}}}' for key in ("exact", "regex")),
    *(f'{{"match": {{"query": {{"x": {{"{key}": V}}}}}}}}' for key in ("prefix", "regex")),
    '{"match": {"client_subject": {"exact": V}}}',
    '{"hosts": V}',
    '{"hosts": [V]}',
    '{"priority": V}',
    '{"split": [{"upstream": "app"}, {"upstream": "app", "weight": V}]}',
    '{"split": [{"upstream": "app", "weight": V}]}',
    '{"split": [{"upstream": V}, {"upstream": "app"}]}',
    '{"middlewares": [V]}',
    '{"middlewares": [{"request_headers": {"set": {"x-v": V}}}]}',
    '{"middlewares": [{"respond": {"body": V}}]}',
    '{"upstream": V}',
    '{"respond": {"body": V}}',
    '{"respond": {"status": 204, "body": V}}',
    '{"respond": {"headers": {"x-v": V}}}',
    '{"redirect": {"path": V}}',
    '{"redirect": {"prefix": V}}',
]
ACTIONS: Final = {"upstream", "split", "respond", "redirect"}


@pytest.mark.parametrize("place", PLACES)
def test_any_values_of_one_place_give_the_same(place: str) -> None:
    """Also where only some of them are wrong, a default, or of another type."""
    routes = {
        f"r{at}": json.loads(place.replace("V", json.dumps(value)))
        for at, value in enumerate(VALUES)
    }
    for route in routes.values():
        if not ACTIONS & route.keys():
            route["upstream"] = "app"
    both([config(routes)], "json")


def test_a_file_is_watched_for_the_entry_that_names_it_alone() -> None:
    """Not for those before it, which would keep it watched when it is gone."""
    edits = {"request_headers": {"set": {"x-v": {"file": "secret.txt"}}}}
    plain: dict[str, object] = {"upstream": "app"}
    kept = Compiler()
    before = load(kept, config({"a": plain, "b": plain | {"middlewares": [edits]}}), "toml")
    assert PurePath("secret.txt") in before.watched.files
    after = load(kept, config({"a": plain, "b": plain}), "toml")
    assert after.watched.files == {PurePath("main.toml")}


def numbered(count: int, **more: object) -> dict[str, Mapping[str, object]]:
    return config(
        {f"r{i}": {"hosts": [f"h{i}.example"], "upstream": "app", **more} for i in range(count)}
    )


def test_many_alike_are_validated_a_few_times_only() -> None:
    """The pattern and the first; everything else is put together from them."""
    edits = {"response_headers": {"set": {"x-v": "1"}}}
    document = numbered(200, middlewares=[edits], match={"path": {"prefix": "/v1"}})
    with (
        patch.object(together, "unit", wraps=unit) as validated,
        patch.object(compiler, "unit", wraps=unit) as alone,
    ):
        plan = load(Compiler(), document, "toml").plan
    assert validated.call_count == 2
    assert {call.args[0].key for call in alone.call_args_list} == {
        "listeners",
        "upstreams",
        "middlewares",
    }
    assert plan is not None
    for key, entry in plan.objects.items():
        assert entry.canonical == encode(entry.value)
        assert entry.digest == object_digest(key.kind, key.name, entry.canonical)


@pytest.mark.parametrize("name", ["r7", "r199"])
def test_one_that_is_wrong_is_told_at_its_place(name: str) -> None:
    document = numbered(200)
    routes = dict(document["routes"])
    routes[name] = {"hosts": ["h.example"], "upstream": "gone"}
    loaded = load(Compiler(), {**document, "routes": routes}, "toml")
    [wrong] = loaded.errors
    assert wrong.path == f"routes.{name}.upstream"
    assert wrong.line > 1


def test_references_of_each_are_its_own() -> None:
    document = numbered(40)
    upstreams = {f"u{i}": {"endpoints": [f"127.0.0.1:{i + 1}"]} for i in range(40)}
    routes = {f"r{i}": {"hosts": f"h{i}.example", "upstream": f"u{i}"} for i in range(40)}
    kept = Compiler()
    assert not load(kept, {**document, "routes": routes, "upstreams": upstreams}, "toml").errors
    del upstreams["u3"]
    [wrong] = load(kept, {**document, "routes": routes, "upstreams": upstreams}, "toml").errors
    assert wrong.path == "routes.r3.upstream"
