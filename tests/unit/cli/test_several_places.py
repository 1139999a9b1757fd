"""Which state directory a command means, where an agent has instances, had them, or has none."""

import socket
from pathlib import Path

import pytest
import typer

from headgate.cli import calls
from headgate.cli.places import driven, drives_several, node_dir, state_dir
from headgate.supervisor.statedir import INSTANCES_DOOR


def test_a_node_of_its_own_has_no_instances(tmp_path: Path) -> None:
    assert node_dir(str(tmp_path), None, None) == tmp_path
    with pytest.raises(typer.BadParameter, match="it drives one node, without instances"):
        node_dir(str(tmp_path), None, "outer")


def test_an_agent_that_does_not_run_still_asks_which_one(tmp_path: Path) -> None:
    for name in ("outer", "inner"):
        (tmp_path / "instances" / name).mkdir(parents=True)
    assert node_dir(str(tmp_path), None, "outer") == tmp_path / "instances" / "outer"
    with pytest.raises(typer.BadParameter, match='name one: "inner" or "outer"'):
        node_dir(str(tmp_path), None, None)
    with pytest.raises(typer.BadParameter, match='no instance "third"; it has "inner" or "outer"'):
        node_dir(str(tmp_path), None, "third")


def test_what_a_killed_agent_left_does_not_hide_the_node_that_came_after_it(tmp_path: Path) -> None:
    (tmp_path / "instances" / "outer").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / INSTANCES_DOOR))
    assert drives_several(tmp_path)
    (tmp_path / "supervisor.sock").touch()
    assert not drives_several(tmp_path)
    assert node_dir(str(tmp_path), None, None) == tmp_path


def test_an_agent_that_runs_names_its_instances_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "instances" / "past").mkdir(parents=True)
    (tmp_path / "supervisor.sock").touch()
    told: dict[str, object] = {"outer": {}, "inner": {}}

    def supervisor(place: Path, op: str, door: str) -> dict[str, object]:
        assert (place, op, door) == (tmp_path, "instances", INSTANCES_DOOR)
        return {"instances": told} if told else {"error": "no such operation"}

    monkeypatch.setattr(calls, "supervisor", supervisor)
    assert drives_several(tmp_path)
    assert driven(tmp_path) == ["inner", "outer"]
    told.clear()
    assert not drives_several(tmp_path)
    assert driven(tmp_path) == ["past"]


def test_a_name_of_a_node_that_leaves_the_directory_is_a_usage_error() -> None:
    with pytest.raises(typer.BadParameter, match=r"\.\./x"):
        state_dir(None, "../x")
