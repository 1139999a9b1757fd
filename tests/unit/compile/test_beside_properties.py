"""The property that a quarantine opens nothing.

Whatever an object with an error was meant to be, a request that is answered was answered alike by
a config that served before, or would be if the object were as it was meant. Alike: by the same
route, with the same action, through the same middlewares. Upstreams that have no error may be
somewhere else by now.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from hosted import Answer, Ask, answered
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from quarantining import Provider
from tls_authority import Authority

from headgate.compile.loaded import Loaded
from headgate.compile.quarantine import Refusal
from headgate.compile.routing import Routing
from headgate.fleet.manifest import Json
from headgate.kernel.ids import ObjectName
from headgate.model.config import SECTIONS
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Listener

Config = dict[tuple[str, str], Json]

OUTSIDE = "0.0.0.0"
HOSTS = ("*", "*.example", "a.example", "b.example")
PATHS = ("/", "/a", "/a/b")
ASKS = tuple(
    Ask(f"{address}:{port}", host, path, certified)
    for (address, port), host, path, certified in product(
        [(OUTSIDE, 80), ("127.0.0.1", 81), ("127.0.0.1", 82)],
        ("a.example", "b.example", "c.test"),
        ("/", "/a/x", "/a/b/x"),
        (False, True),
    )
)
SECRETS = ("secrets/c.pem", "secrets/c.key", "secrets/ca.pem")

tls = st.fixed_dictionaries(
    {"default_certificate": st.just("c"), "unknown_sni": st.just("default")},
    optional={"policy": st.sampled_from(("p", "q"))},
)


def listeners(*addresses: str) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {"address": st.sampled_from(addresses), "default": st.booleans()}, optional={"tls": tls}
    )


policies = st.sampled_from(({}, {"client_auth": {"ca_file": "secrets/ca.pem"}}))
upstreams = st.sampled_from(({"endpoints": ["127.0.0.1:1"]}, {"endpoints": ["127.0.0.1:2"]}))
middlewares = st.sampled_from(
    (
        {"respond": {"status": 403}},
        {"response_headers": {"set": {"x": "1"}}},
        {"response_headers": {"set": {"x": "2"}}},
        {"forward_auth": {"upstream": "u"}},
    )
)
hosts = st.fixed_dictionaries(
    {},
    optional={
        "middlewares": st.just(["m"]),
        "tls_policy": st.sampled_from(("p", "q")),
        "allow_plain": st.just(True),
        "certificate": st.just(["d"]),
    },
)
routes = st.fixed_dictionaries(
    {"upstream": st.sampled_from(("u", "v"))},
    optional={
        "hosts": st.lists(st.sampled_from(HOSTS), min_size=1, max_size=2, unique=True),
        "listeners": st.lists(st.sampled_from(("a", "b")), min_size=1, max_size=2, unique=True),
        "match": st.sampled_from(PATHS).map(lambda path: {"path": {"prefix": path}}),
        "middlewares": st.just(["m"]),
        "priority": st.integers(0, 1),
        "timeouts": st.just({"request": "1s"}),
    },
)
PARTS: dict[tuple[str, str], st.SearchStrategy[Json]] = {
    ("listeners", "a"): listeners(f"{OUTSIDE}:80", "127.0.0.1:81"),
    ("listeners", "b"): listeners("127.0.0.1:82", "127.0.0.1:81", f"{OUTSIDE}:80"),
    ("tls_policies", "p"): policies,
    ("tls_policies", "q"): policies,
    ("certificates", "c"): st.just({"cert_file": SECRETS[0], "key_file": SECRETS[1]}),
    ("certificates", "d"): st.just({"cert_file": SECRETS[0], "key_file": SECRETS[1]}),
    ("upstreams", "u"): upstreams,
    ("upstreams", "v"): upstreams,
    ("middlewares", "m"): middlewares,
    **{("hosts", name): hosts for name in HOSTS[:3]},
    **{("routes", name): routes for name in ("r", "s", "t")},
}
OPTIONAL = [key for key in PARTS if key[0] in ("hosts", "routes")]


@st.composite
def configs(draw: st.DrawFn) -> Config:
    left_out = draw(st.sets(st.sampled_from(OPTIONAL), max_size=len(OPTIONAL) - 1))
    return {key: draw(spec) for key, spec in PARTS.items() if key not in left_out}


@st.composite
def later(draw: st.DrawFn, before: Config) -> Config:
    """Another config: some objects are edited, some added, some gone."""
    edited = draw(st.sets(st.sampled_from(sorted(PARTS)), max_size=5))
    gone = draw(st.sets(st.sampled_from(OPTIONAL), max_size=2))
    found = {**before, **{key: draw(PARTS[key]) for key in sorted(edited)}}
    return {key: one for key, one in found.items() if key not in gone}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    pair = authority.issue("c", "*.example", "c.test")
    contents = (pair.cert_file, pair.key_file, authority.ca_file)
    yield {name: one.read_bytes() for name, one in zip(SECRETS, contents, strict=True)}


class Served(NamedTuple):
    """What a config answers, and the upstreams that have errors in it."""

    answers: dict[Ask, Answer]
    wrong: frozenset[str]


def served(loaded: Loaded) -> Served:
    assert loaded.plan is not None, [str(one) for one in loaded.diagnostics]
    opened = [one.value for key, one in loaded.plan.objects.items() if key.kind == "listener"]
    places = [place for one in opened if isinstance(one, Listener) for place in one.places]
    assert len(places) == len(set(places)), "an address is that of one listener"
    routing = Routing(loaded.plan)
    found = ((ask, answered(loaded, ask, routing)) for ask in ASKS)
    wrong = frozenset(str(key.name) for key in loaded.quarantined if key.kind == "upstream")
    return Served({ask: one for ask, one in found if one is not None}, wrong)


def alike(one: Answer | None, now: Answer, wrong: frozenset[str]) -> bool:
    """Whether two answers are alike; endpoints count of upstreams that have errors."""
    if one is None:
        return False
    does_count = any(f'"{name}"' in now.does for name in wrong)
    return (one == now) if does_count else (one[:3] == now[:3])


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(configs(), st.data())
def test_what_is_answered_was_answered_or_was_meant_to_be(
    secrets: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    config: Config,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("forms")
    provider = Provider(secrets)
    first = provider.load(config)
    if first.plan is None or first.quarantined:
        return
    before = [served(first)]
    broken: set[tuple[str, str]] = set()
    for _ in range(data.draw(st.integers(1, 3), label="revisions")):
        config = data.draw(later(config), label="meant")
        broken &= config.keys()
        if not broken:
            broken = {data.draw(st.sampled_from(sorted(config)), label="broken")}
        meant = Provider(secrets).load(config)
        if meant.plan is None or meant.quarantined:
            return
        after = _broken(provider, config, broken, is_refused=data.draw(st.booleans()))
        if after.plan is None:
            return
        now, would = served(after), served(meant)
        note(f"{[str(one) for one in after.diagnostics]}")
        for ask, answer in now.answers.items():
            known = [one.answers.get(ask) for one in (*before, would)]
            assert any(alike(one, answer, now.wrong) for one in known), f"{ask}: {answer}"
        before.append(now)
        if data.draw(st.booleans(), label="restart"):
            _restart(provider, folder, config, broken)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(configs(), st.data())
def test_where_nothing_else_is_edited_everything_is_answered_as_before(
    secrets: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    config: Config,
    data: st.DataObject,
) -> None:
    provider = Provider(secrets)
    first = provider.load(config)
    if first.plan is None or first.quarantined:
        return
    before = served(first)
    keys = [key for key in sorted(config) if key[0] not in ("middlewares", "hosts")]
    broken = data.draw(st.sets(st.sampled_from(keys), min_size=1, max_size=3), label="broken")
    for _ in range(2):
        after = _broken(provider, config, broken, is_refused=data.draw(st.booleans()))
        assert {key.name for key in after.quarantined} == {name for _, name in broken}
        assert served(after).answers == before.answers
        provider.restart(tmp_path_factory.mktemp("forms"))


def _broken(
    provider: Provider, config: Config, broken: set[tuple[str, str]], *, is_refused: bool
) -> Loaded:
    """Loads a config with these objects broken, or refused by an engine."""
    if is_refused:
        refused = (
            Refusal(ObjectKey(SECTIONS[section].kind, ObjectName(name)), "it cannot be")
            for section, name in broken
        )
        return provider.load(config, *refused)
    return provider.load({**config, **{key: {**config[key], "wrong": 1} for key in broken}})


def _restart(
    provider: Provider, folder: Path, config: Config, broken: set[tuple[str, str]]
) -> None:
    """A restart, which loads first what was served last."""
    provider.restart(folder)
    _broken(provider, config, broken, is_refused=False)
