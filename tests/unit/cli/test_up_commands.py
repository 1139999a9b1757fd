"""`headgate up` as a command: where it keeps a fleet, and how it ends."""

from pathlib import Path

import pytest
from scripted_master import left

from headgate.cli.up import running
from headgate.cli.up.children import UpError
from headgate.cli.up.running import Places


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Places]:
    """The places of each fleet, in place of its processes; each ends worse than the last."""
    places: list[Places] = []

    async def run(one: Places) -> int:
        places.append(one)
        return len(places) - 1

    monkeypatch.setattr(running, "run", run)
    return places


def test_a_fleet_is_kept_below_the_state_of_the_user_or_where_they_say(
    ran: list[Places], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    ends = [left(monkeypatch, "up")]
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    ends.append(left(monkeypatch, "up", "--proxy", "a:1", "--listen", "b:2"))
    more = ("--agents-listen", "c:3", "--admin", "d:4", "--upstream-port", "5")
    ends.append(left(monkeypatch, "up", "--data", "fleet", *more))
    assert ends == [0, 1, 2], "what the fleet ended with"
    usual = ("127.0.0.1:8000", "127.0.0.1:8080", "127.0.0.1:8443", "127.0.0.1:9090", 9101)
    assert ran == [
        Places(Path("/home/ann/.local/state/headgate-up"), *usual),
        Places(Path("/state/headgate-up"), "a:1", "b:2", *usual[2:]),
        Places(tmp_path / "fleet", *usual[:2], "c:3", "d:4", 5),
    ]


def test_a_fleet_that_does_not_come_up_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run(_: Places) -> int:
        raise UpError("the link did not happen")

    monkeypatch.setattr(running, "run", run)
    assert left(monkeypatch, "up") == 1
    assert capsys.readouterr().err == "headgate: the link did not happen\n"
