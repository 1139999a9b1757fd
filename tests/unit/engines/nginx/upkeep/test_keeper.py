"""What the keeper of an nginx says of it; what it does is tried with a real one."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import loops
import pytest
from waiting import until_async

from headgate.compile.settings import NginxSettings
from headgate.engines.nginx.drive.engine import NginxEngine
from headgate.engines.nginx.health import background
from headgate.engines.nginx.instance import NginxInstance, SeveralMastersError
from headgate.engines.nginx.observe.error_log import Told
from headgate.engines.nginx.upkeep import keeper as module
from headgate.engines.nginx.upkeep import rotation
from headgate.engines.nginx.upkeep.keeper import Keeper

Until = Callable[[Callable[[], bool], str], Awaitable[None]]


def test_an_nginx_that_nobody_looked_at_is_not_said_to_be_in_sync(tmp_path: Path) -> None:
    engine = NginxEngine(tmp_path, NginxSettings(binary="/bin/true"))
    about = Keeper(engine, lambda *_: None).status()
    assert about.drift is None
    assert about.state == "down"


class Kept:
    """A keeper of an nginx that does not run, whose log has grown, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.engine = NginxEngine(folder, NginxSettings(binary="/bin/true"))
        self.told: list[tuple[str, str]] = []
        self.keeper = Keeper(self.engine, lambda level, kind, *_: self.told.append((level, kind)))
        self.log = folder / "logs/access.log"
        self.log.touch()
        os.truncate(self.log, rotation.MOST_BYTES + 1)

    def warning(self) -> str:
        """What its status warns of."""
        about = self.keeper.status().nginx
        assert about is not None
        return about.warning

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Until]:
        """Has the keeper run, which nothing may end; gives what waits for a condition."""
        running = asyncio.ensure_future(self.keeper.run())

        async def until(condition: Callable[[], bool], what: str) -> None:
            await until_async(lambda: condition() or running.done(), what)
            assert not running.done(), running

        yield until
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_a_log_that_cannot_be_rotated_is_told_of_once_and_the_watch_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.0)
    kept = Kept(tmp_path)
    kept.log.with_name("access.log.1").mkdir()
    looks: list[object] = []

    def poll() -> list[Told]:
        looks.append(None)
        return []

    monkeypatch.setattr(kept.keeper._observer, "poll", poll)

    async def play() -> None:
        # In one run: a look of an earlier one may go on in its thread.
        async with kept.running() as until:
            await until(lambda: len(looks) > 5, "looks at the log")
            assert kept.told == [("error", "nginx.log_not_rotated")]
            assert "access.log" in kept.warning()
            kept.log.with_name("access.log.1").rmdir()
            await until(lambda: len(kept.told) > 1, "the end of it")

    loops.run(play())
    assert kept.told[1:] == [("info", "nginx.log_rotated")]


@pytest.mark.parametrize("loop", ["_read_logs", "_look"])
def test_an_error_that_nobody_expected_ends_no_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    monkeypatch.setattr(background, "AGAIN_S", 0.0)
    kept = Kept(tmp_path)
    looks: list[object] = []

    def breaks() -> None:
        looks.append(None)
        raise ValueError("unexpected")

    monkeypatch.setattr(kept.keeper, loop, breaks)

    async def play() -> None:
        async with kept.running() as until:
            await until(lambda: len(looks) > 2, "looks that break off")

    loops.run(play())
    assert kept.told == [("error", "nginx.broke_off")]


def test_several_masters_are_told_of_once_and_neither_status_nor_figures_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(tmp_path)

    def several(_: NginxInstance) -> None:
        raise SeveralMastersError("several nginx masters run")

    monkeypatch.setattr(NginxInstance, "master", several)
    monkeypatch.setattr(NginxInstance, "workers", several)
    kept.keeper.applied()
    assert kept.keeper.mender.running() is None
    assert "several nginx masters run" in kept.warning()
    assert kept.keeper.families()
    assert kept.told == [("error", "nginx.unseen")]
