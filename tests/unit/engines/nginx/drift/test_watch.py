"""The watch over an instance ends when it is told to."""

import asyncio
import hashlib
from pathlib import Path
from typing import Literal

import loops
import pytest
from waiting import DEADLINE_S, until_async

from headgate.engines.nginx.drift import (
    Artefact,
    Artefacts,
    Binary,
    Desired,
    DriftWatch,
    Finding,
    Mark,
    Policy,
    Rules,
    Running,
)
from headgate.engines.nginx.drift import watch as module


class Nothing:
    """An instance nothing was ever applied to."""

    def __init__(self) -> None:
        self.looks = 0

    def desired(self) -> Desired | None:
        self.looks += 1
        return None

    def running(self) -> Running | None:
        raise AssertionError("there is no release to compare with")

    def binary(self) -> Binary | None:
        raise AssertionError("there is no release to compare with")

    def is_applying(self) -> bool:
        return False

    def report(self, finding: Finding) -> None:
        raise AssertionError(finding)

    def heal(self, finding: Finding, artefact: Artefact) -> None:
        raise AssertionError(finding, artefact)

    def reprobe(self) -> None:
        raise AssertionError("the binary is the same")

    def alarm(self, text: str | None) -> None:
        raise AssertionError(text)


class Bell(asyncio.Event):
    """What a watch waits for; tells whether it does."""

    is_awaited = False

    async def wait(self) -> Literal[True]:
        self.is_awaited = True
        try:
            return await super().wait()
        finally:
            self.is_awaited = False


async def cancelled_while_waking(folder: Path, turns: int) -> None:
    """Wakes a watch that waits, and cancels it so many turns of the loop later."""
    nothing, bell = Nothing(), Bell()
    watch = DriftWatch(
        nothing,
        nothing,
        Rules(Policy.HEAL),
        Artefacts(folder),
        lambda _: None,
        lambda: False,
        _woken=bell,
    )
    running = asyncio.create_task(watch.run())
    async with asyncio.timeout(20):
        await until_async(lambda: bell.is_awaited, "the end of the first look")
        assert nothing.looks >= 2
        watch.wake()
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()


def test_a_cancellation_that_comes_while_it_wakes_up_ends_it(tmp_path: Path) -> None:
    """`asyncio.wait_for` of Python 3.11 loses one that comes with what was waited for."""

    async def play() -> None:
        await asyncio.gather(*(cancelled_while_waking(tmp_path, turns) for turns in range(8)))

    loops.run(play())


class Edited(Nothing):
    """An instance with one file that somebody changed."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.file = folder / "a.conf"
        self.file.write_text("mine")
        self.is_held = False
        self.found: list[Finding] = []

    def desired(self) -> Desired | None:
        wanted = {"a.conf": Mark(hashlib.sha256(b"ours").hexdigest())}
        return Desired(1, str(self.file.parent), wanted)

    def running(self) -> Running | None:
        return None

    def binary(self) -> Binary | None:
        return None

    def report(self, finding: Finding) -> None:
        self.found.append(finding)

    def heal(self, finding: Finding, artefact: Artefact) -> None:
        self.file.write_text("ours")


def test_a_heal_is_ordered_under_any_policy_and_says_how_it_ended(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    edited = Edited(tmp_path / "r")
    rules = Rules(Policy.REPORT)
    kept = Artefacts(tmp_path / "kept")
    watch = DriftWatch(edited, edited, rules, kept, lambda _: b"ours", lambda: edited.is_held)

    async def play() -> list[str]:
        running = asyncio.create_task(watch.run())
        await until_async(lambda: bool(edited.found), "the first look")
        edited.is_held = True
        said = [await watch.heal()]
        edited.is_held = False
        said += [await watch.heal(), await watch.heal()]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return said

    assert loops.run(play()) == ["a hold keeps this nginx as it is; release it first", "", ""]
    assert edited.file.read_text() == "ours"


def test_a_heal_before_anything_was_applied_says_so(tmp_path: Path) -> None:
    nothing = Nothing()
    rules, kept = Rules(Policy.HEAL), Artefacts(tmp_path)
    watch = DriftWatch(nothing, nothing, rules, kept, lambda _: None, lambda: False)

    async def play() -> str:
        running = asyncio.create_task(watch.run())
        said = await watch.heal()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return said

    assert loops.run(play()) == "nothing was applied yet"


class Broken(Edited):
    """One whose processes cannot be told for a while, by an error that nobody foresaw."""

    why: Exception | None = LookupError("several masters")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.alarms: list[str | None] = []

    def running(self) -> Running | None:
        self.looks += 1
        if self.why is not None:
            raise self.why
        return None

    def alarm(self, text: str | None) -> None:
        self.alarms.append(text)


def test_whatever_a_look_ends_with_is_told_once_and_the_next_one_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLIND_S", 0.0)
    (tmp_path / "r").mkdir()
    broken = Broken(tmp_path / "r")
    kept = Artefacts(tmp_path / "kept")
    watch = DriftWatch(broken, broken, Rules(Policy.REPORT), kept, lambda _: b"ours", lambda: False)

    async def play() -> str:
        running = asyncio.create_task(watch.run())
        await until_async(lambda: broken.looks > 3 or running.done(), "looks")
        async with asyncio.timeout(DEADLINE_S):
            why = await watch.heal()
        broken.why = None
        await until_async(lambda: bool(broken.found) or running.done(), "a look that goes well")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return why

    assert loops.run(play()) == "several masters"
    assert broken.alarms == ["drift cannot be looked at: several masters", None]


def test_an_edit_that_cannot_be_kept_is_not_healed_whatever_the_error(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    edited = Broken(tmp_path / "r")
    edited.why = None

    def unreadable(_: str) -> bytes:
        raise ValueError("not a release")

    kept = Artefacts(tmp_path / "kept")
    rules = Rules(Policy.REPORT)
    watch = DriftWatch(edited, edited, rules, kept, unreadable, lambda: False)

    async def play() -> str:
        running = asyncio.create_task(watch.run())
        async with asyncio.timeout(DEADLINE_S):
            why = await watch.heal()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return why

    why = "what was found could not be kept: not a release"
    assert loops.run(play()) == why
    assert edited.alarms == [f"drift could not be healed: {why}"]
    assert edited.file.read_text() == "mine"
