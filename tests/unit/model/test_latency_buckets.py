"""`node.latency_buckets`: what it becomes in the plan, and what is refused with its place."""

import re
from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.kernel.ids import ObjectName
from headgate.model.latency_buckets import MOST_BUCKETS
from headgate.model.schema import config_schema
from headgate.plan.kinds import ObjectKey
from headgate.plan.settings import LATENCY_BOUNDS_US, Settings

ROOT = Path(__file__).resolve().parents[3]
BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
respond = { status = 204 }
[node]
"""


def loaded(rest: str) -> Loaded:
    return load([PurePath("a.toml")], MemoryFiles({"a.toml": BASE + rest}), {})


def bounds_us(rest: str) -> tuple[int, ...]:
    """The bounds that both engines get."""
    found = loaded(rest)
    assert found.plan is not None, [str(one) for one in found.errors]
    assert found.node is not None
    value = found.plan.objects[ObjectKey("settings", ObjectName("node"))].value
    assert isinstance(value, Settings)
    assert value.latency_bounds_us == found.node.nginx.latency_bounds_us
    return value.latency_bounds_us


def test_without_the_key_the_bounds_are_the_default_ones() -> None:
    assert bounds_us("") == LATENCY_BOUNDS_US


def test_bounds_reach_the_plan_in_microseconds() -> None:
    written = 'latency_buckets = ["100us", "0.25ms", "5 ms", "1.5s", "10m"]'
    assert bounds_us(written) == (100, 250, 5_000, 1_500_000, 600_000_000)
    assert bounds_us('latency_buckets = "300ms"') == (300_000,)


def test_there_may_be_as_many_as_the_engine_has_room_for() -> None:
    listed = ", ".join(f'"{n}ms"' for n in range(1, MOST_BUCKETS + 1))
    assert len(bounds_us(f"latency_buckets = [{listed}]")) == MOST_BUCKETS
    source = (ROOT / "engine/crates/hg-engine/src/histogram.rs").read_text()
    assert re.findall(r"MOST_BOUNDS: usize = (\d+)", source) == [str(MOST_BUCKETS)]


def test_the_default_is_that_of_the_core() -> None:
    source = (ROOT / "engine/crates/hg-plan/src/objects/settings.rs").read_text()
    (listed,) = re.findall(r"LATENCY_BOUNDS_US: \[u64; 24\] = \[(.*?)\]", source, re.DOTALL)
    assert tuple(map(int, re.findall(r"[0-9_]+", listed))) == LATENCY_BOUNDS_US


def test_the_default_in_the_schema_is_as_users_write_it() -> None:
    key = config_schema()["$defs"]["Node"]["properties"]["latency_buckets"]
    assert key["default"][:6] == ["100us", "200us", "300us", "500us", "750us", "1ms"]
    assert key["default"][-1] == "1m"


@pytest.mark.parametrize(
    ("written", "path", "wrong"),
    [
        ("[]", "", "the list is empty"),
        ('["5ms", "1ms"]', "[1]", '"1ms" is shorter than "5ms" before it'),
        ('["1ms", "5ms", "5000us"]', "[2]", '"5ms" is listed twice'),
        ('["50us", "1ms"]', "[0]", '"50us" is out of range; write "100us" to "10m"'),
        ('["1ms", "11m"]', "[1]", '"11m" is out of range; write "100us" to "10m"'),
        ('["1ms", "1h"]', "[1]", '"1h" is not a duration; write a number and a unit: "500us"'),
        ('["1.5us"]', "[0]", "write whole microseconds"),
        ("[5]", "[0]", "5 is not a duration"),
        ("{ a = 1 }", "[0]", "is not a duration"),
        (
            str([f"{n}ms" for n in range(1, MOST_BUCKETS + 2)]).replace("'", '"'),
            "",
            f"the list is too long; write at most {MOST_BUCKETS} items",
        ),
    ],
)
def test_a_wrong_bound_is_one_error_at_its_place(written: str, path: str, wrong: str) -> None:
    (error,) = loaded(f"latency_buckets = {written}").errors
    assert f"node.latency_buckets{path}: " in str(error)
    assert wrong in str(error)


def test_each_wrong_bound_is_told() -> None:
    found = loaded('latency_buckets = ["1us", "5ms", "5 parsecs"]').errors
    assert len(found) == 2


def test_instances_of_an_agent_have_the_bounds_of_their_node() -> None:
    found = loaded(
        'engine = "nginx"\nlatency_buckets = ["5ms", "1s"]\n'
        '[node.instances.a]\nnginx = { conf = "/etc/nginx/a.conf", pid = "/run/a.pid" }\n'
        '[node.instances.b]\nnginx = { conf = "/etc/nginx/b.conf", pid = "/run/b.pid" }\n'
    )
    assert found.node is not None, [str(one) for one in found.errors]
    bounds = [one.nginx.latency_bounds_us for one in found.node.instances.values()]
    assert bounds == [(5_000, 1_000_000)] * 2
