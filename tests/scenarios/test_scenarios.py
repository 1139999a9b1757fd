"""Plays every scenario file in the folders beside this one: against one node for all of them, and
each against an nginx of its own. What nginx cannot meet says why, and must really fail there."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import scenario
from peers import peer
from scenario_run import NginxStage, Stage

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


def _on_nginx(name: str) -> object:
    why = SCENARIOS[name].nginx
    marks = [pytest.mark.xfail(reason=why, strict=True, raises=AssertionError)] if why else []
    return pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", [_on_nginx(name) for name in SCENARIOS])
def test_scenario_on_nginx(name: str) -> None:
    peer("nginx")
    with tempfile.TemporaryDirectory(prefix="hg-") as path:
        failures = NginxStage(name, SCENARIOS[name], Path(path)).play()
    assert not failures, SCENARIOS[name].about + "\n" + "\n".join(failures)


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 40
