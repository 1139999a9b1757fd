"""`mirror` of a route: what it becomes in the plan, and what is refused with its place."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.lints import lints
from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.compile.routing import shadows
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Mirror, Route

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[upstreams.u]
endpoints = ["127.0.0.1:1"]
[upstreams.shadow]
endpoints = ["127.0.0.1:2"]
[upstreams.canary]
endpoints = ["127.0.0.1:3"]
[routes.all]
"""


def loaded(rest: str) -> Loaded:
    return load([PurePath("a.toml")], MemoryFiles({"a.toml": BASE + rest}), {"P": "25"})


def mirrors(written: str) -> tuple[Mirror, ...]:
    found = loaded('upstream = "u"\n' + written)
    assert found.plan is not None, [str(one) for one in found.errors]
    value = found.plan.objects[ObjectKey("route", ObjectName("all"))].value
    assert isinstance(value, Route)
    return value.mirrors


def mirror(keys: str) -> Mirror:
    (one,) = mirrors(f"mirror = {{ {keys} }}")
    return one


def test_it_is_off_unless_it_is_written() -> None:
    assert mirrors("") == mirrors("mirror = []") == ()


def test_several_are_a_list_each_with_keys_of_its_own() -> None:
    written = 'mirror = [{ upstream = "shadow", percent = 1 }, { upstream = "canary" }]'
    assert mirrors(written) == (Mirror("shadow", 100), Mirror("canary"))
    tables = '[[routes.all.mirror]]\nupstream = "canary"\n'
    assert mirrors(tables) == mirrors('mirror = { upstream = "canary" }') == (Mirror("canary"),)


def test_every_key_reaches_the_plan() -> None:
    assert mirror('upstream = "shadow"') == Mirror("shadow")
    many = 'percent = 0.5, max_body = "1MiB", timeout = "5m", max_in_flight = 10000'
    made = Mirror("shadow", 50, 1 << 20, 300_000, 10_000)
    assert mirror(f'upstream = "shadow", {many}') == made


@pytest.mark.parametrize(
    ("percent", "share"),
    [("0", 0), ("100", 10_000), ("0.01", 1), ("99.99", 9_999), ("0.29", 29), ('"${env:P}"', 2_500)],
)
def test_a_percentage_is_taken_exactly(percent: str, share: int) -> None:
    assert mirror(f'upstream = "shadow", percent = {percent}') == Mirror("shadow", share)


@pytest.mark.parametrize("percent", ["-1", "100.01", "0.001", "true", '"10"'])
def test_what_is_no_percentage_is_refused(percent: str) -> None:
    found = loaded(f'upstream = "u"\nmirror = {{ upstream = "shadow", percent = {percent} }}')
    assert [one.path for one in found.errors] == ["routes.all.mirror[0].percent"]
    assert "is not a share of the requests" in str(found.errors[0])


@pytest.mark.parametrize(
    ("rest", "path", "message"),
    [
        ('upstream = "u"\nmirror = { percent = 1 }', "mirror[0]", "upstream"),
        ('upstream = "u"\nmirror = { upstream = "shado" }', "mirror[0].upstream", 'write "shadow"'),
        (
            'upstream = "u"\nmirror = { upstream = "u" }',
            "mirror[0].upstream",
            "answers requests of",
        ),
        (
            'split = [{ upstream = "u" }, { upstream = "shadow" }]\n'
            'mirror = { upstream = "shadow" }',
            "mirror[0].upstream",
            "answers requests of the route itself",
        ),
        (
            'respond = { status = 200 }\nmirror = { upstream = "shadow" }',
            "mirror",
            "the route answers by itself",
        ),
        (
            'upstream = "u"\nmirror = { upstream = "shadow", max_body = "2MiB" }',
            "mirror[0].max_body",
            'write at most "1MiB"',
        ),
        (
            'upstream = "u"\nmirror = { upstream = "shadow", timeout = "6m" }',
            "mirror[0].timeout",
            "longer than a copy may take",
        ),
        (
            'upstream = "u"\nmirror = { upstream = "shadow", max_in_flight = 0 }',
            "mirror[0].max_in_flight",
            "from 1 to 10000",
        ),
        (
            'upstream = "u"\nmirror = [{ upstream = "shadow" }, { upstream = "canari" }]',
            "mirror[1].upstream",
            'write "canary"',
        ),
        (
            'upstream = "u"\nmirror = [{ upstream = "shadow" }, { upstream = "u" }]',
            "mirror[1].upstream",
            "answers requests of the route itself",
        ),
        (
            'upstream = "u"\nmirror = [{ upstream = "shadow" }, { upstream = "shadow" }]',
            "mirror[1].upstream",
            'upstream "shadow" gets copies of these requests already; name each upstream once',
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(rest: str, path: str, message: str) -> None:
    found = loaded(rest)
    assert [one.path for one in found.errors] == [f"routes.all.{path}"]
    assert message in str(found.errors[0])


def test_more_than_four_are_refused() -> None:
    names = [f"m{n}" for n in range(5)]
    tables = "".join(f'[upstreams.{name}]\nendpoints = ["127.0.0.1:9"]\n' for name in names)

    def of(count: int) -> list[str]:
        listed = ", ".join(f'{{ upstream = "{name}" }}' for name in names[:count])
        return [str(one) for one in loaded(f'upstream = "u"\nmirror = [{listed}]\n{tables}').errors]

    assert of(4) == []
    (one,) = of(5)
    assert "routes.all.mirror: " in one
    assert "4" in one


def test_an_upstream_that_gets_copies_is_used() -> None:
    found = loaded('upstream = "u"\nmirror = [{ upstream = "shadow" }, { upstream = "canary" }]')
    assert not [str(one) for one in lints(found, shadows)]
    unused = loaded('upstream = "u"')
    assert [one.path for one in lints(unused, shadows)] == ["upstreams.shadow", "upstreams.canary"]


def test_among_many_routes_that_are_alike_one_that_mirrors_to_itself_is_found() -> None:
    routes = "".join(
        f'[routes.r{n}]\nhosts = ["h{n}.example"]\nupstream = "{"shadow" if n == 30 else "u"}"\n'
        'mirror = { upstream = "shadow" }\n'
        for n in range(40)
    )
    found = loaded('upstream = "u"\n' + routes)
    assert [one.path for one in found.errors] == ["routes.r30.mirror[0].upstream"]
