"""`node.shedding`: what it becomes in the plan, and what is refused with its place."""

from pathlib import PurePath

import msgspec
import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.kernel.ids import ObjectName
from headgate.model import node as model
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Route
from headgate.plan.settings import Settings, Shedding

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
respond = { status = 204 }
[node]
"""
ROUTE = '[routes.r]\nhosts = "a.example"\nrespond = { status = 204 }\n'


def loaded(rest: str) -> Loaded:
    return load([PurePath("a.toml")], MemoryFiles({"a.toml": BASE + rest}), {})


def shedding(rest: str) -> Shedding | None:
    found = loaded(rest)
    assert found.plan is not None, [str(one) for one in found.errors]
    value = found.plan.objects[ObjectKey("settings", ObjectName("node"))].value
    assert isinstance(value, Settings)
    return value.shedding


def test_it_is_off_unless_it_is_written() -> None:
    assert shedding("") is None
    assert shedding("shedding = {}") == Shedding()


def test_every_key_reaches_the_plan() -> None:
    made = shedding('shedding = { memory = "1 GiB", queued = "off", lag = "50ms" }')
    assert made == Shedding(memory_bytes=1 << 30, queued=0, lag_ms=50)
    made = shedding('shedding = { strained = "off", critical = 200 }')
    assert made == Shedding(strained_percent=0, critical_percent=200)
    assert shedding('shedding = { critical = "off" }') == Shedding(critical_percent=0)


def test_the_importance_of_a_route_reaches_the_plan() -> None:
    (low,) = _routes('importance = "low"')
    assert low.importance == "low"
    assert _routes("") == [msgspec.structs.replace(low, importance="normal")]


def test_an_unknown_importance_is_one_error_at_its_place() -> None:
    (error,) = loaded(f'{ROUTE}importance = "urgent"\n').errors
    assert "routes.r.importance: " in str(error)


def _routes(rest: str) -> list[Route]:
    found = loaded(f"{ROUTE}{rest}\n")
    assert found.plan is not None, [str(one) for one in found.errors]
    values = [one.value for one in found.plan.objects.values()]
    routes = [one for one in values if isinstance(one, Route)]
    return [one for one in routes if one.hosts == ("a.example",)]


@pytest.mark.parametrize(
    ("written", "path", "wrong"),
    [
        ('{ queued = "off", lag = "off" }', "shedding", "nothing is ever refused; give `memory`"),
        ('{ memory = "much" }', "shedding.memory", '"much" is not a size'),
        ("{ queued = 0 }", "shedding.queued", ""),
        ("{ lag = 5 }", "shedding.lag", "5 is not a duration"),
        ("{ strained = 100 }", "shedding.strained", "100 percent is not below the limit"),
        ("{ critical = 100 }", "shedding.critical", "100 percent is not above the limit"),
        ("{ critical = 10001 }", "shedding.critical", "write 101 to 10000"),
        ('{ cpu = "90%" }', "shedding.cpu", "the key is unknown"),
    ],
)
def test_a_wrong_limit_is_one_error_at_its_place(written: str, path: str, wrong: str) -> None:
    (error,) = loaded(f"shedding = {written}").errors
    assert f"node.{path}: " in str(error)
    assert wrong in str(error)


def test_the_schema_says_which_shares_are_allowed() -> None:
    found = model.Shedding.model_json_schema()["properties"]
    numbers = {key: found[key]["anyOf"][0] for key in ("strained", "critical")}
    assert numbers == {
        "strained": {"type": "integer", "minimum": 1, "maximum": 99},
        "critical": {"type": "integer", "minimum": 101, "maximum": 10_000},
    }
