"""What an agent remembers over restarts."""

from pathlib import Path

from headgate.node.agent.remembered import Remembered


def test_the_newest_bound_session_of_this_agent_is_remembered(tmp_path: Path) -> None:
    first = Remembered(tmp_path)
    assert first.bound("one") == 0
    first.remember_bound("one", 7)
    first.remember_bound("one", 0)
    assert Remembered(tmp_path).bound("one") == 7
    assert Remembered(tmp_path).bound("two") == 0
    assert (tmp_path / "bound.json").stat().st_mode & 0o777 == 0o600
