"""Plays every scenario file in the folders beside this one, each against a node of its own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import scenario
import scenario_run

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*/*.toml"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder whose path is short enough for sockets in it."""
    with tempfile.TemporaryDirectory(prefix="hg-") as path:
        yield Path(path)


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_scenario(path: Path, folder: Path) -> None:
    told = scenario.load(path)
    failures = scenario_run.run(told, folder)
    assert not failures, told.about + "\n" + "\n".join(failures)


def test_there_are_scenarios() -> None:
    assert len(FILES) >= 25
