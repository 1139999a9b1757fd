"""The end of a key set that is too old, and what is told of it."""

import time
from pathlib import Path

import loops
import pytest
from key_set_reader import ENDING, QUICK, Issuer, Reader, put
from waiting import DEADLINE_S, until_async

from headgate.node.key_sets import keeper
from headgate.node.key_sets.about import families
from headgate.node.key_sets.keeper import KeySets


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A config waits for its sets, however long the machine stalls."""
    monkeypatch.setattr(keeper, "FIRST_S", DEADLINE_S)


def test_a_set_that_the_served_config_still_has_is_not_missing(tmp_path: Path) -> None:
    async def run() -> None:
        issuer = Issuer()
        sets = KeySets(tmp_path, issuer.fetch, lambda: 0.0)
        reader = Reader(sets, tmp_path, ENDING)
        assert await reader.first()
        reader.follow()
        told: list[int] = []
        sets.on_new = lambda: told.append(1)  # the config on disk is refused
        failed: list[str] = []
        sets.on_failed = lambda status: failed.append(status.state)
        issuer.fails = True
        await until_async(lambda: bool(told))
        assert failed == ["stale", "missing"]
        (counted,) = sets.told()
        assert (counted.status.state, counted.status.fetched_at) == ("stale", None)
        assert "the config that is served still has it" in counted.status.error
        assert "headgate_key_set_present" in (page := "".join(families(sets.told(), 0)))
        assert 'present{key_set="https://login.example/keys"} 1' in page
        sets.close()

    loops.run(run())


@pytest.mark.parametrize("is_fetched_here", [True, False])
def test_a_clock_that_was_ahead_does_not_put_the_end_of_a_set_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_fetched_here: bool
) -> None:
    true, ahead_s = time.time, 30 * 86_400.0
    quick = QUICK._replace(max_stale_ms=200)

    async def run() -> None:
        issuer = Issuer()
        sets = KeySets(tmp_path, issuer.fetch, lambda: 0.0)
        reader = Reader(sets, tmp_path, quick)
        if is_fetched_here:
            monkeypatch.setattr(time, "time", lambda: true() + ahead_s)
        else:
            put(tmp_path, "old", true() + ahead_s)
        await reader.first()
        monkeypatch.setattr(time, "time", true)
        issuer.fails = True
        reader.follow()
        await until_async(lambda: bool(sets.told()[0].status.error))
        fetched_at = sets.told()[0].status.fetched_at
        assert fetched_at is None or fetched_at <= true(), "it tells no time to come"
        await until_async(lambda: reader.told == [""])
        sets.close()

    loops.run(run())
