"""What an agent remembers over restarts."""

from pathlib import Path

import pytest

from headgate.fleet.frames import Fault, Version
from headgate.node.agent.remembered import Remembered


def test_the_newest_bound_session_of_this_agent_is_remembered(tmp_path: Path) -> None:
    first = Remembered(tmp_path)
    assert first.bound("one") == 0
    first.remember_bound("one", 7)
    first.remember_bound("one", 0)
    assert Remembered(tmp_path).bound("one") == 7
    assert Remembered(tmp_path).bound("two") == 0
    assert (tmp_path / "bound.json").stat().st_mode & 0o777 == 0o600


def test_that_the_master_signs_orders_to_upgrade_is_remembered(tmp_path: Path) -> None:
    first = Remembered(tmp_path)
    first.remember_bound("one", 7)
    assert not Remembered(tmp_path).signs_upgrades("one")
    first.remember_bound("one", 7, signs_upgrades=True)
    again = Remembered(tmp_path)
    assert (again.bound("one"), again.signs_upgrades("one")) == (7, True)
    assert not again.signs_upgrades("two")
    (tmp_path / "bound.json").write_bytes(b'{"agent":"one","fence":7}')
    assert (again.bound("one"), again.signs_upgrades("one")) == (7, False), "of an older version"


def test_what_was_refused_is_remembered_with_its_reason(tmp_path: Path) -> None:
    first, version = Remembered(tmp_path), Version(5, "a" * 64)
    fault = Fault("config", "no such upstream", False, "routes/api", "routes/api.json", 3)
    first.remember("edge", version, fault)
    again = Remembered(tmp_path)
    assert (again.refused("edge"), again.refused_for("edge")) == (version, fault)
    assert (again.refused("other"), again.refused_for("other")) == (None, None)
    first.remember("edge", None)
    assert (again.refused("edge"), again.refused_for("edge")) == (None, None)


@pytest.mark.parametrize("damage", [b"", b'{"agent":"\xff"}', b'{"scope":"\xff"}'])
def test_a_damaged_file_counts_as_none(tmp_path: Path, damage: bytes) -> None:
    for name in ("bound.json", "refused.json"):
        (tmp_path / name).write_bytes(damage)
    one = Remembered(tmp_path)
    assert (one.bound("one"), one.refused("edge"), one.refused_for("edge")) == (0, None, None)


def test_a_refusal_that_an_older_version_wrote_has_no_reason(tmp_path: Path) -> None:
    (tmp_path / "refused.json").write_text('{"scope":"edge","revision":5,"hash":"aa"}')
    found = Remembered(tmp_path)
    assert (found.refused("edge"), found.refused_for("edge")) == (Version(5, "aa"), None)
