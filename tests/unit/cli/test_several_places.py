"""Which state directory a command means, where an agent has instances, had them, or has none."""

import socket
from pathlib import Path

import pytest
import typer

from headgate.cli.places import drives_several, node_dir
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
