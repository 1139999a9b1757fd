"""The nginx engine of a node that cannot begin: somebody else has the lock of applies."""

import asyncio
from pathlib import Path

import loops
import pytest
from waiting import until_async

from headgate.compile.settings import NginxSettings, NodeSettings
from headgate.engines.nginx.releases.lock import locked
from headgate.engines.types import EngineUnavailableError
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.ports import Candidate
from headgate.node.serving import nginx as module
from headgate.node.serving.nginx import NginxServing
from headgate.plan.plan import Plan

CANDIDATE = Candidate(
    plan=Plan(),
    node=NodeSettings(
        admin=(),
        metrics=(),
        state_dir=None,
        workers=None,
        log_level="info",
        engine="nginx",
        nginx=NginxSettings(binary="/bin/true"),
    ),
    blobs={},
    warnings=(),
    locate=lambda kind, name, path: Diagnostic(file="a.toml", message=""),
)


class Clock:
    """Stands still until it is set; takes the place of the module `time`."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_it_is_tried_again_without_anybody_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "_RETRY_S", 0.0)
    wanted: list[float] = []

    async def refused(serving: NginxServing) -> None:
        with pytest.raises(EngineUnavailableError, match="applies to"):
            await serving.serve(CANDIDATE)

    async def turns() -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def play() -> None:
        serving = NginxServing(str(tmp_path))
        serving.on_wanted = lambda: wanted.append(clock.now)
        tasks = [asyncio.ensure_future(one) for one in serving.tasks()]
        try:
            await refused(serving)
            await turns()
            assert wanted == []
            clock.now = 105.0
            await until_async(lambda: wanted == [105.0], "the first try")
            await turns()
            assert wanted == [105.0], "one try is under way"
            await refused(serving)
            clock.now = 114.9
            await turns()
            assert wanted == [105.0], "the second one waits longer"
            clock.now = 115.0
            await until_async(lambda: wanted == [105.0, 115.0], "the second try")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    with locked(tmp_path / "nginx"):
        loops.run(play())


class Moving:
    """An engine whose names have moved from the second look on, until the fourth apply."""

    looks = applies = 0

    def names_moved(self) -> bool:
        self.looks += 1
        return self.looks > 1 and self.applies < 4

    async def apply_again(self) -> str:
        self.applies += 1
        return "held" if self.applies < 4 else ""


def test_what_is_served_is_served_anew_when_its_names_have_other_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_NAMES_S", 0.0)
    engine = Moving()
    told: list[str] = []

    async def play() -> None:
        serving = NginxServing(str(tmp_path))
        monkeypatch.setattr(serving, "_engine", engine)
        monkeypatch.setattr(serving, "_apply_again", engine.apply_again)
        # A config that was refused since has to wait for its own reasons.
        serving.on_wanted = lambda: told.append("wanted")
        serving.on_event = lambda level, *said: told.append(f"{level} {said[:2]}")
        following = [asyncio.ensure_future(one) for one in serving.tasks()]
        await until_async(lambda: engine.looks > 8)
        for one in following:
            one.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    loops.run(play())
    moved = "names of endpoints have other addresses"
    assert engine.applies == 4
    assert told == [
        f"error {('nginx.names', f'{moved}, but: held')}",
        f"info {('nginx.names', moved)}",
    ]
