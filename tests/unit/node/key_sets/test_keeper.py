"""Which key sets are fetched, when, and who hears of it."""

import asyncio
import threading
import time
from pathlib import Path

import loops
import pytest
from waiting import until_async

from headgate.kernel.key_sets import KeySetUrl
from headgate.node.key_sets import keeper
from headgate.node.key_sets.about import families
from headgate.node.key_sets.failure import FetchError
from headgate.node.key_sets.fetch import Answer
from headgate.node.key_sets.keeper import KeySets
from headgate.node.key_sets.pace import early_s
from headgate.node.key_sets.store import KeySetStore

ONE = KeySetUrl("https://login.example/keys", 3_600_000)
QUICK = KeySetUrl("https://login.example/keys", 1)
ENDING = QUICK._replace(max_stale_ms=1)


class Issuer:
    """Answers the same text, or fails."""

    def __init__(self, text: str = "one") -> None:
        self.text = text
        self.fails = False
        self.asked = 0
        self.goes_on = threading.Event()
        self.goes_on.set()

    def fetch(self, _: KeySetUrl) -> Answer:
        self.asked += 1
        self.goes_on.wait()
        if self.fails:
            raise FetchError("status", "it answers 404")
        return Answer(self.text, None)


def content(folder: Path) -> str:
    return (folder / f"{ONE.id}.json").read_text()


def test_a_config_waits_for_what_nobody_asked_for(tmp_path: Path) -> None:
    async def run() -> None:
        issuer = Issuer()
        sets = KeySets(tmp_path, issuer.fetch)
        assert await sets.first([ONE])
        assert not await sets.first([ONE])
        assert not await KeySets(tmp_path, issuer.fetch).first([ONE])  # it is on disk
        assert issuer.asked == 1
        assert content(tmp_path) == "one"

    loops.run(run())


def test_a_set_that_comes_later_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "FIRST_S", 0.05)

    async def run() -> None:
        issuer, told = Issuer(), 0

        def count() -> None:
            nonlocal told
            told += 1

        issuer.goes_on.clear()
        sets = KeySets(tmp_path, issuer.fetch)
        sets.on_new = count
        waiting = asyncio.ensure_future(sets.first([ONE]))
        await until_async(lambda: issuer.asked == 1)
        assert not await waiting
        sets.follow([ONE])
        issuer.goes_on.set()
        await until_async(lambda: told == 1)
        sets.close()
        assert issuer.asked == 1

    loops.run(run())


def test_only_what_is_new_is_told_and_failures_leave_what_there_was(tmp_path: Path) -> None:
    async def run() -> None:
        issuer = Issuer()
        told: list[str] = []
        failed: list[str] = []
        sets = KeySets(tmp_path, issuer.fetch, lambda: 0.0)
        sets.on_new = lambda: told.append(issuer.text)
        sets.on_failed = lambda status: failed.append(status.state)
        sets.follow([QUICK])
        await until_async(lambda: issuer.asked > 3)
        assert told == ["one"]
        issuer.text = "two"
        await until_async(lambda: told == ["one", "two"])
        issuer.fails = True
        await until_async(lambda: failed == ["stale"])
        (counted,) = sets.told()
        assert counted.status.state == "stale"
        assert counted.status.error == "it answers 404"
        assert content(tmp_path) == "two"
        page = "".join(families(sets.told(), counted.status.fetched_at or 0))
        assert 'headgate_key_set_age_seconds{key_set="https://login.example/keys"} 0' in page
        assert 'result="status"} ' in page
        issuer.fails = False
        await until_async(lambda: sets.told()[0].status.state == "fresh")
        sets.follow([])
        assert sets.told() == []
        assert families([], 0) == []

    loops.run(run())


def test_a_full_disk_and_an_unexpected_error_are_failures(tmp_path: Path) -> None:
    async def run() -> None:
        def broken(_: KeySetUrl) -> Answer:
            raise RuntimeError("unexpected")

        sets = KeySets(tmp_path, broken)
        assert not await sets.first([ONE])
        nowhere = KeySets(tmp_path / "no" / "folder", Issuer().fetch)
        assert not await nowhere.first([ONE])
        nowhere.follow([ONE])
        (counted,) = nowhere.told()
        assert counted.results["disk"] == 1
        assert counted.status.state == "missing"
        nowhere.close()

    loops.run(run())


def test_the_last_good_set_ends_and_a_newer_one_comes_back(tmp_path: Path) -> None:
    async def run() -> None:
        issuer = Issuer()
        told: list[bool] = []
        failed: list[str] = []
        sets = KeySets(tmp_path, issuer.fetch, lambda: 0.0)
        sets.on_new = lambda: told.append((tmp_path / f"{ONE.id}.json").exists())
        sets.on_failed = lambda status: failed.append(status.state)
        assert await sets.first([ENDING])
        issuer.fails = True
        sets.follow([ENDING])
        await until_async(lambda: told == [False])
        assert failed == ["stale", "missing"]
        (counted,) = sets.told()
        assert (counted.status.state, counted.status.fetched_at) == ("missing", None)
        issuer.fails = False
        await until_async(lambda: True in told)
        assert sets.told()[0].status.state == "fresh"
        sets.close()

    loops.run(run())


def test_an_unexpected_error_does_not_end_the_care_for_a_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_AGAIN_S", 0.0)

    async def run() -> None:
        issuer = Issuer()
        sets = KeySets(tmp_path, issuer.fetch, lambda: 0.0)

        def broken(_: object) -> None:
            raise RuntimeError("unexpected")

        assert await sets.first([ENDING])
        sets.on_failed = broken
        issuer.fails = True
        sets.follow([ENDING])
        await until_async(lambda: not (tmp_path / f"{ONE.id}.json").exists(), "the end of the set")
        issuer.fails = False
        await until_async(lambda: sets.told()[0].status.state == "fresh", "another set")
        sets.close()

    loops.run(run())


def test_a_set_without_an_end_or_with_time_left_stays(tmp_path: Path) -> None:
    async def run() -> None:
        issuer = Issuer()
        for wanted in (QUICK, QUICK._replace(max_stale_ms=3_600_000)):
            issuer.fails, issuer.asked = False, 0
            sets = KeySets(tmp_path, issuer.fetch, lambda: 0.0)
            await sets.first([wanted])
            issuer.fails = True
            sets.follow([wanted])
            await until_async(lambda: issuer.asked > 3)
            assert sets.told()[0].status.state == "stale"
            assert content(tmp_path) == "one"
            sets.close()

    loops.run(run())


def test_what_an_earlier_process_left_too_long_ago_is_not_used(tmp_path: Path) -> None:
    async def run() -> None:
        KeySetStore(tmp_path).put(ONE.id, "old", 1_000.0)
        issuer = Issuer()
        issuer.fails = True
        sets = KeySets(tmp_path, issuer.fetch)
        assert not await sets.first([ONE])
        assert content(tmp_path) == "old"
        # The shortest time of those that want it counts.
        day = ONE._replace(max_stale_ms=86_400_000)
        assert await KeySets(tmp_path, issuer.fetch).first([ONE, day])
        assert not (tmp_path / f"{ONE.id}.json").exists()
        issuer.fails = False
        assert await KeySets(tmp_path, issuer.fetch).first([day])
        assert content(tmp_path) == "one"

    loops.run(run())


def test_a_set_that_cannot_be_removed_stays_in_sight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        KeySetStore(tmp_path).put(ONE.id, "old", 1_000.0)

        def fails(*_: object) -> None:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(KeySetStore, "drop", fails)
        sets = KeySets(tmp_path, Issuer().fetch)
        assert not await sets.first([ENDING])
        sets.follow([ENDING])
        assert sets.told()[0].status.fetched_at == 1_000.0
        sets.close()

    loops.run(run())


def test_a_set_comes_early_but_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float | None] = []

    def noted(asked_at: float | None, now: float) -> float:
        waits.append(None if asked_at is None else early_s(asked_at, now))
        return early_s(asked_at, now)

    monkeypatch.setattr(keeper, "early_s", noted)

    async def run() -> None:
        KeySetStore(tmp_path).put(ONE.id, "one", time.time())
        issuer = Issuer("two")
        sets = KeySets(tmp_path, issuer.fetch)
        news: list[str] = []
        sets.on_new = lambda: news.append(content(tmp_path))
        sets.follow([ONE])
        sets.hasten()
        sets.hasten()
        await until_async(lambda: news == ["two"], "the new set")

        def is_asked_again() -> bool:
            sets.hasten()
            return len(waits) == 2

        await until_async(is_asked_again, "the end of the first fetch")
        sets.hasten()
        assert waits[0] is None
        assert len(waits) == 2
        assert waits[1] is not None
        assert 50 < waits[1] <= 60
        assert issuer.asked == 1
        sets.close()

    loops.run(run())


def test_a_set_that_fails_is_not_hastened(tmp_path: Path) -> None:
    async def run() -> None:
        KeySetStore(tmp_path).put(ONE.id, "one", time.time())
        issuer = Issuer()
        issuer.fails = True
        sets = KeySets(tmp_path, issuer.fetch, chance=lambda: 0)
        failed: list[str] = []
        sets.on_failed = lambda status: failed.append(status.error)
        sets.follow([ONE])
        sets.hasten()
        await until_async(lambda: bool(failed), "the failure")
        sets.hasten()
        await asyncio.sleep(0)
        assert issuer.asked == 1
        sets.close()

    loops.run(run())
