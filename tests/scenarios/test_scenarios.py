"""Plays every scenario file in the folders beside this one, against one node for all of them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import scenario
from scenario_run import Stage

HERE = Path(__file__).parent
SCENARIOS = {f"{p.parent.name}-{p.stem}": scenario.load(p) for p in sorted(HERE.glob("*/*.toml"))}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """The node that serves them; its folder has a path short enough for sockets in it."""
    with tempfile.TemporaryDirectory(prefix="hg-") as path, Stage(SCENARIOS, Path(path)) as stage:
        yield stage


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, stage: Stage) -> None:
    failures = stage.run(name)
    assert not failures, SCENARIOS[name].about + "\n" + "\n".join(failures)


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 40
