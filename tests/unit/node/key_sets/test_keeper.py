"""Which key sets are fetched, when, and who hears of it."""

import asyncio
import threading
import time
from pathlib import Path

import loops
import pytest
from key_set_reader import ENDING, ONE, QUICK, Issuer, Reader, content, put, read
from waiting import DEADLINE_S, until_async

from headgate.kernel.files import replace_file
from headgate.kernel.key_sets import KeySetUrl
from headgate.node.key_sets import keeper
from headgate.node.key_sets.about import families
from headgate.node.key_sets.failure import FetchError
from headgate.node.key_sets.fetch import Answer
from headgate.node.key_sets.keeper import KeySets
from headgate.node.key_sets.pace import early_s
from headgate.node.key_sets.store import KeySetStore


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A config waits for its sets, however long the machine stalls."""
    monkeypatch.setattr(keeper, "FIRST_S", DEADLINE_S)


def test_a_config_waits_for_what_nobody_asked_for(tmp_path: Path) -> None:
    async def run() -> None:
        issuer = Issuer()
        sets = KeySets(tmp_path, issuer.fetch)
        nothing = read(tmp_path)
        assert await sets.first([ONE], nothing)
        assert await sets.first([ONE], nothing)  # it is there, and the config lacks it
        assert not await sets.first([ONE], read(tmp_path))
        assert not await KeySets(tmp_path, issuer.fetch).first([ONE], read(tmp_path))
        assert issuer.asked == 1
        assert content(tmp_path) == "one"

    loops.run(run())


def test_a_set_that_comes_later_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "FIRST_S", 0.05)

    async def run() -> None:
        issuer = Issuer()
        issuer.goes_on.clear()
        sets = KeySets(tmp_path, issuer.fetch)
        reader = Reader(sets, tmp_path, ONE)
        waiting = asyncio.ensure_future(reader.first())
        await until_async(lambda: issuer.asked == 1)
        assert not await waiting
        reader.follow()
        issuer.goes_on.set()
        await until_async(lambda: reader.told == ["one"])
        sets.close()
        assert issuer.asked == 1

    loops.run(run())


def test_only_what_is_new_is_told_and_failures_leave_what_there_was(tmp_path: Path) -> None:
    async def run() -> None:
        issuer = Issuer()
        failed: list[str] = []
        sets = KeySets(tmp_path, issuer.fetch, lambda: 0.0)
        reader = Reader(sets, tmp_path, QUICK)
        sets.on_failed = lambda status: failed.append(status.state)
        reader.follow()
        await until_async(lambda: issuer.asked > 3)
        assert reader.told == ["one"]
        issuer.text = "two"
        await until_async(lambda: reader.told == ["one", "two"])
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
        sets.follow([], {})
        assert sets.told() == []
        assert families([], 0) == []

    loops.run(run())


def test_a_full_disk_and_an_unexpected_error_are_failures(tmp_path: Path) -> None:
    async def run() -> None:
        def broken(_: KeySetUrl) -> Answer:
            raise RuntimeError("unexpected")

        sets = KeySets(tmp_path, broken)
        assert not await sets.first([ONE], read(tmp_path))
        nowhere = KeySets(tmp_path / "no" / "folder", Issuer().fetch)
        assert not await nowhere.first([ONE], read(tmp_path))
        nowhere.follow([ONE], read(tmp_path))
        (counted,) = nowhere.told()
        assert counted.results["disk"] == 1
        assert counted.status.state == "missing"
        nowhere.close()

    loops.run(run())


def test_the_last_good_set_ends_and_a_newer_one_comes_back(tmp_path: Path) -> None:
    async def run() -> None:
        issuer = Issuer()
        failed: list[str] = []
        sets = KeySets(tmp_path, issuer.fetch, lambda: 0.0)
        reader = Reader(sets, tmp_path, ENDING)
        sets.on_failed = lambda status: failed.append(status.state)
        assert await reader.first()
        issuer.fails = True
        reader.follow()
        await until_async(lambda: reader.told == [""])
        assert failed == ["stale", "missing"]
        # It is "stale" until the config without it is served, which may be a moment later.
        await until_async(lambda: sets.told()[0].status.state == "missing")
        assert sets.told()[0].status.fetched_at is None
        issuer.fails = False
        await until_async(lambda: "one" in reader.told)
        await until_async(lambda: sets.told()[0].status.state == "fresh")
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

        reader = Reader(sets, tmp_path, ENDING)
        assert await reader.first()
        sets.on_failed = broken
        issuer.fails = True
        reader.follow()
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
            reader = Reader(sets, tmp_path, wanted)
            await reader.first()
            issuer.fails = True
            reader.follow()
            await until_async(lambda: issuer.asked > 3)
            assert sets.told()[0].status.state == "stale"
            assert content(tmp_path) == "one"
            sets.close()

    loops.run(run())


def test_what_an_earlier_process_left_too_long_ago_is_not_used(tmp_path: Path) -> None:
    async def run() -> None:
        put(tmp_path, "old", 1_000.0)
        issuer = Issuer()
        issuer.fails = True
        sets = KeySets(tmp_path, issuer.fetch)
        assert not await sets.first([ONE], read(tmp_path))
        assert content(tmp_path) == "old"
        # The shortest time of those that want it counts.
        day = ONE._replace(max_stale_ms=86_400_000)
        assert await KeySets(tmp_path, issuer.fetch).first([ONE, day], read(tmp_path))
        assert not (tmp_path / f"{ONE.id}.json").exists()
        issuer.fails = False
        assert await KeySets(tmp_path, issuer.fetch).first([day], read(tmp_path))
        assert content(tmp_path) == "one"

    loops.run(run())


def test_a_set_that_cannot_be_removed_stays_in_sight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        put(tmp_path, "old", 1_000.0)

        def fails(*_: object) -> None:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(KeySetStore, "drop", fails)
        sets = KeySets(tmp_path, Issuer().fetch)
        assert not await sets.first([ENDING], read(tmp_path))
        sets.follow([ENDING], read(tmp_path))
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
        put(tmp_path, "one", time.time())
        issuer = Issuer("two")
        sets = KeySets(tmp_path, issuer.fetch)
        news: list[str] = []
        sets.on_new = lambda: news.append(content(tmp_path))
        sets.follow([ONE], read(tmp_path))
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
        put(tmp_path, "one", time.time())
        issuer = Issuer()
        issuer.fails = True
        sets = KeySets(tmp_path, issuer.fetch, chance=lambda: 0)
        failed: list[str] = []
        sets.on_failed = lambda status: failed.append(status.error)
        sets.follow([ONE], read(tmp_path))
        sets.hasten()
        await until_async(lambda: bool(failed), "the failure")
        sets.hasten()
        await asyncio.sleep(0)
        assert issuer.asked == 1
        sets.close()

    loops.run(run())


REPLACE = "headgate.node.key_sets.store.replace_file"
OTHER = KeySetUrl("https://other.example/keys", 3_600_000)


class Two(Issuer):
    """Two issuers: the other one cannot be reached for as long as it hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.other_ends = threading.Event()

    def fetch(self, wanted: KeySetUrl) -> Answer:
        if wanted == OTHER:
            self.other_ends.wait()
            raise FetchError("connect", "no connection")
        return super().fetch(wanted)


async def started(sets: KeySets, folder: Path, wanted: KeySetUrl = ONE) -> Reader:
    """A node that serves a set."""
    reader = Reader(sets, folder, wanted)
    assert await reader.first()
    reader.follow()
    assert sets.told()[0].status.state == "fresh"
    return reader


def test_a_set_that_is_renewed_while_a_config_waits_for_another_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        issuer = Two()
        sets = KeySets(tmp_path, issuer.fetch, lambda: 0.0)
        reader = await started(sets, tmp_path, QUICK)
        was = read(tmp_path, QUICK, OTHER)
        waiting = asyncio.ensure_future(sets.first([QUICK, OTHER], was))
        issuer.text = "two"
        await until_async(lambda: reader.told == ["two"], "the news of the other set")
        issuer.other_ends.set()
        assert await waiting, "the config has an old set, and is to be read again"
        sets.close()

    loops.run(run())


def test_a_set_that_came_between_the_reading_of_a_config_and_its_service_is_told(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        issuer = Issuer()
        sets = KeySets(tmp_path, issuer.fetch, lambda: 0.0)
        reader = Reader(sets, tmp_path, ONE)
        nothing = read(tmp_path)
        assert await reader.first()
        sets.follow([ONE], nothing)
        assert reader.told == ["one"]
        (counted,) = sets.told()
        assert counted.status.state == "stale"
        assert "not served yet" in counted.status.error
        # Nor is a refused config read again and again.
        sets.follow([ONE], nothing)
        assert reader.told == ["one"]
        await until_async(lambda: sets.told()[0].status.state == "fresh")
        sets.close()

    loops.run(run())


def test_a_set_that_was_refused_is_told_again_once_another_one_was_served(tmp_path: Path) -> None:
    async def run() -> None:
        issuer = Issuer()
        sets = KeySets(tmp_path, issuer.fetch, lambda: 0.0)
        told: list[str] = []
        sets.on_new = lambda: told.append(content(tmp_path))
        assert await sets.first([QUICK], read(tmp_path))
        first = read(tmp_path)
        sets.follow([QUICK], first)
        issuer.text = "two"
        await until_async(lambda: told == ["two"])
        sets.follow([QUICK], first)
        issuer.text = "one"
        await until_async(lambda: sets.told()[0].status.state == "fresh")
        issuer.text = "two"
        await until_async(lambda: told == ["two", "two"])
        sets.close()

    loops.run(run())


def test_a_set_that_is_kept_in_part_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_full = False

    def replace(path: Path, text: bytes) -> None:
        if is_full and path.suffix == ".fetched":
            raise OSError(28, "No space left on device")
        replace_file(path, text)

    monkeypatch.setattr(REPLACE, replace)

    async def run() -> None:
        nonlocal is_full
        issuer = Issuer()
        sets = KeySets(tmp_path, issuer.fetch, lambda: 0.0)
        reader = await started(sets, tmp_path, QUICK)
        is_full, issuer.text = True, "two"  # a fetch may be under way
        await until_async(lambda: reader.told == ["two"])
        (counted,) = sets.told()
        assert (counted.status.state, counted.results["disk"] > 0) == ("stale", True)
        is_full = False
        await until_async(lambda: sets.told()[0].status.state == "fresh")
        assert reader.told == ["two"]
        sets.close()

    loops.run(run())


def test_a_set_whose_time_could_not_be_kept_ends_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: bytes) -> None:
        if path.suffix == ".fetched":
            raise OSError(28, "No space left on device")
        path.write_bytes(text)

    monkeypatch.setattr(REPLACE, full)

    async def run() -> None:
        sets = KeySets(tmp_path, Issuer().fetch, lambda: 0.0)
        reader = Reader(sets, tmp_path, ENDING)
        assert await reader.first()
        reader.follow()
        await until_async(lambda: "" in reader.told, "the end of the set")
        sets.close()

    loops.run(run())


def test_what_a_fetch_that_was_given_up_brings_is_told_but_replaces_no_later_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        issuer = Issuer()
        sets = KeySets(tmp_path, issuer.fetch, lambda: 0.0)
        reader = await started(sets, tmp_path, QUICK)
        monkeypatch.setattr(keeper, "_ABANDONED_S", 0.05)
        issuer.text = "two"
        issuer.goes_on.clear()
        await until_async(lambda: sets.told()[0].results["timeout"] > 0)
        issuer.goes_on.set()
        await until_async(lambda: reader.told == ["two"])
        sets.close()
        there = tmp_path / "kept"  # where no thread of the fetches above may write any more
        kept = KeySetStore(there)
        early, late = kept.turn(), kept.turn()
        assert kept.put(ONE.id, "four", 4.0, late)
        assert not kept.put(ONE.id, "three", 3.0, early)
        assert content(there) == "four"
        assert kept.fetched_at(ONE.id) == 4.0

    loops.run(run())
