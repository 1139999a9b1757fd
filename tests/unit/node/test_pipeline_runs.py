"""What a pipeline remembers and says of its runs, and when it tries again."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import loops
import pytest
from scripted_source import ScriptedSource
from waiting import DEADLINE_S, until_async

from headgate.compile.quarantine import Refusal
from headgate.compile.settings import NodeSettings
from headgate.engines.types import EngineUnavailableError
from headgate.kernel.diagnostics import Diagnostic
from headgate.kernel.ids import ObjectName
from headgate.node.link import LinkError
from headgate.node.loading import LoadHangsError
from headgate.node.pipeline import Pipeline
from headgate.node.ports import Candidate, Objection, Rejected, Verdict
from headgate.node.results import Outcome, ReloadResult
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Listener
from headgate.plan.plan import entry, plan_of

SETTINGS = NodeSettings((), (), None, None, "info")
NO = Diagnostic(file="a.toml", message="no")


def candidate(port: int) -> Candidate:
    listener = Listener(addresses=(f"127.0.0.1:{port}",), protocol="http")
    plan = plan_of([entry("listener", "web", listener)])
    return Candidate(plan, SETTINGS, {}, (), lambda *_: NO)


A, B = candidate(1), candidate(2)


@dataclass
class FakeServing:
    """Serves everything, holds what it is told to hold, breaks when it is told to."""

    digest: str = ""
    is_broken: bool = False
    away: Exception | None = None
    held: asyncio.Event | None = None
    waited_s: float = 0.0
    refusals: list[Verdict] = field(default_factory=list)
    settled: list[NodeSettings] = field(default_factory=list)

    async def serve(self, candidate: Candidate) -> Verdict:
        if self.held is not None:
            await self.held.wait()
        if self.is_broken:
            raise RuntimeError("a fault of ours")
        if self.away is not None:
            raise self.away
        if self.refusals:
            return self.refusals.pop(0)
        digest = candidate.plan.digest.hex()
        changed, self.digest = digest != self.digest, digest
        return Verdict(changed=changed, waited_s=self.waited_s)

    async def settle(self, settings: NodeSettings) -> None:
        self.settled.append(settings)


class FakeOurs:
    """Every address of the control process is well."""

    def prepare(self, settings: NodeSettings) -> list[Objection]:
        return []

    def commit(self) -> None:
        """Nothing is kept."""

    def abandon(self) -> None:
        """Nothing was prepared."""


class Stage:
    """A running pipeline, the results that it told, and the pauses that it asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.source = ScriptedSource(A)
        self.serving = FakeServing()
        self.objections: tuple[Diagnostic, ...] = ()
        self.pipeline = Pipeline(
            self.source,
            self.serving,  # type: ignore[arg-type]
            FakeOurs(),
            lambda _: self.objections,
        )
        self.told: list[ReloadResult] = []
        self.pipeline.on_result = self.told.append
        self.pauses: list[float] = []
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def noted(delay: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
            if delay >= 1:  # what is waited for meanwhile is looked at more often
                self.pauses.append(delay)
            return call_later(delay, callback, *args)

        monkeypatch.setattr(loop, "call_later", noted)
        self.task = asyncio.create_task(self.pipeline.run())

    async def served(self, found: Candidate) -> ReloadResult:
        """The result of a reload that finds a config."""
        self.source.found = found
        return await self.pipeline.reload("test")


Body = Callable[[Stage], Coroutine[None, None, None]]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[[Body], None]:
    """Runs a test's body beside a pipeline."""

    async def all_of_it(body: Body) -> None:
        stage = Stage(monkeypatch)
        async with asyncio.timeout(DEADLINE_S):
            await body(stage)
        stage.task.cancel()
        await asyncio.gather(stage.task, return_exceptions=True)

    return lambda body: loops.run(all_of_it(body))


def test_each_try_after_a_broken_run_waits_longer_until_one_succeeds(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        stage.serving.is_broken = True
        for _ in range(8):
            assert (await stage.served(A)).outcome is Outcome.FAILED
        assert stage.pauses == [5, 10, 20, 40, 80, 160, 300, 300]
        stage.serving.is_broken = False
        assert (await stage.served(A)).is_ok
        stage.serving.is_broken = True
        await stage.served(A)
        assert stage.pauses[8:] == [5]

    play(body)


def test_of_two_broken_runs_one_is_tried_again(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        stage.serving.is_broken = True
        await stage.served(A)
        first = stage.pipeline._again
        await stage.served(A)
        second = stage.pipeline._again
        assert first is not None
        assert second is not None
        assert (first.cancelled(), second.cancelled()) == (True, False)

    play(body)


@pytest.mark.parametrize("away", [EngineUnavailableError("away"), LinkError("away")])
def test_a_config_that_met_no_engine_is_tried_again(
    play: Callable[[Body], None], away: Exception
) -> None:
    async def body(stage: Stage) -> None:
        assert (await stage.served(A)).is_ok
        stage.serving.away = away
        for _ in range(2):
            assert (await stage.served(B)).outcome is Outcome.FAILED
        assert stage.pauses == [5, 10]

    play(body)


def test_a_new_data_plane_gets_the_config_that_met_none(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        assert (await stage.served(A)).is_ok
        stage.serving.away = EngineUnavailableError("away")
        assert (await stage.served(B)).outcome is Outcome.FAILED
        stage.serving.away = None
        result = await stage.pipeline.resync()
        assert (result.outcome, stage.pipeline.served) == (Outcome.APPLIED, B)
        assert stage.pipeline.last is result
        # Once it is served nothing is read again.
        loads = stage.source.loads
        await stage.pipeline.resync()
        assert (stage.source.loads, stage.pipeline._again) == (loads, None)

    play(body)


def test_a_reading_that_hangs_is_tried_again_once_it_ends(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        async def hangs() -> Candidate:
            raise LoadHangsError("a file")

        stage.pipeline.loading.load = hangs  # type: ignore[method-assign]
        assert (await stage.served(A)).outcome is Outcome.FAILED
        assert stage.pauses == []

    play(body)


def test_a_reading_that_hangs_while_a_refused_object_is_left_out_is_a_failed_run(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        async def hangs(candidate: Candidate, verdict: Verdict) -> Candidate | Rejected:
            raise LoadHangsError("a file")

        stage.pipeline.loading.isolate = hangs  # type: ignore[method-assign]
        web = Refusal(ObjectKey("listener", ObjectName("web")), "no")
        stage.serving.refusals = [Verdict(errors=(NO,), refused=(web,))]
        result = await stage.served(A)
        assert (result.outcome, result.error) == (Outcome.FAILED, "a file")
        assert stage.pauses == []

    play(body)


def test_the_end_of_a_hanging_reading_asks_for_another_try(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        stage.pipeline.loading.on_end()
        await until_async(lambda: bool(stage.told))
        assert stage.told[0].reason == "another try"
        assert stage.pipeline.served is A

    play(body)


def test_an_end_during_a_run_is_the_end_of_whoever_waits_for_it(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        stage.serving.held = asyncio.Event()
        waiting = stage.pipeline.reload("test")
        await until_async(lambda: stage.source.loads == 1)
        assert not stage.pipeline.idle.is_set()
        stage.task.cancel()
        await asyncio.gather(stage.task, waiting, return_exceptions=True)
        assert (stage.task.cancelled(), waiting.cancelled()) == (True, True)
        assert stage.pipeline.idle.is_set()

    play(body)


def test_whoever_goes_away_takes_no_result_from_others(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        stage.serving.held = asyncio.Event()
        first = stage.pipeline.reload("first")
        await until_async(lambda: stage.source.loads == 1)

        asked: list[str] = []

        async def asks(reason: str) -> ReloadResult:
            asked.append(reason)
            return await stage.pipeline.reload(reason)

        leaving, staying = (asyncio.create_task(asks(who)) for who in ("leaves", "stays"))
        await until_async(lambda: len(asked) == 2)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        stage.serving.held.set()
        assert (await first).is_ok
        result = await staying
        assert (result.is_ok, result.reason) == (True, "leaves, stays")

    play(body)


def test_it_is_idle_before_and_after_a_run(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        assert stage.pipeline.idle.is_set()
        stage.serving.held = asyncio.Event()
        waiting = stage.pipeline.reload("test")
        await until_async(lambda: stage.source.loads == 1)
        assert not stage.pipeline.idle.is_set()
        stage.serving.held.set()
        await waiting
        assert stage.pipeline.idle.is_set()

    play(body)


def test_a_result_says_what_it_was_for_what_is_served_and_how_long_it_took(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        stage.source.found = Rejected((NO,))
        first = await stage.pipeline.reload("start")
        assert (first.objects, first.digest) == (0, "")
        stage.source.found = A
        stage.serving.waited_s = 0.25
        started = time.perf_counter()
        asked = [stage.pipeline.reload(reason) for reason in ("file", "signal", "file")]
        second = (await asyncio.gather(*asked))[0]
        took_ms = (time.perf_counter() - started) * 1000
        assert second.reason == "file, signal"
        assert (second.objects, second.digest) == (len(A.plan.objects), A.plan.digest.hex())
        assert 0 < second.apply_ms < second.apply_ms + second.load_ms <= took_ms + 0.001
        assert first.at <= second.at <= time.time()
        assert (first.waited_ms, second.waited_ms) == (0.0, 250.0)

    play(body)


def test_what_is_asked_of_the_engine_later_is_what_the_served_config_says(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        stage.objections = (NO,)
        refused = await stage.served(A)
        assert (refused.outcome, refused.diagnostics) == (Outcome.REFUSED, (NO,))
        assert (stage.serving.digest, stage.serving.settled) == ("", [])
        stage.objections = ()
        await stage.served(A)
        assert stage.serving.settled == [SETTINGS]

    play(body)


def test_what_an_engine_turned_back_to_is_known_while_it_is_one_of_the_newest(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        configs = [candidate(port) for port in range(10, 15)]
        for one in [*configs, configs[0], candidate(15)]:
            await stage.served(one)
        # Six were served: the one that was not served again is forgotten, by age.
        forgotten, kept = configs[1], [configs[0], *configs[2:]]
        for one in kept:
            stage.serving.digest = one.plan.digest.hex()
            assert stage.pipeline.in_service() is one
        stage.serving.digest = forgotten.plan.digest.hex()
        assert stage.pipeline.in_service() is None
        stage.serving.digest = ""
        assert stage.pipeline.in_service() is stage.pipeline.served

    play(body)


def test_a_new_data_plane_that_has_the_plan_is_no_reload(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        first = await stage.served(A)
        assert (await stage.pipeline.resync()).outcome is Outcome.UNCHANGED
        assert (stage.told, stage.pipeline.last) == ([first], first)
        assert stage.pipeline.counts == {Outcome.APPLIED: 1}
        again = await stage.served(A)
        assert (stage.told, stage.pipeline.last) == ([first, again], again)
        stage.serving.digest = ""
        lost = await stage.pipeline.resync()
        assert lost.outcome is Outcome.APPLIED
        assert stage.told[2:] == [lost]
        assert stage.pipeline.counts == {Outcome.APPLIED: 2, Outcome.UNCHANGED: 1}

    play(body)


def test_a_data_plane_that_comes_before_the_first_config_has_it_read(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        result = await stage.pipeline.resync()
        assert (result.outcome, result.reason) == (Outcome.APPLIED, "data plane")
        assert stage.source.loads == 1

    play(body)


def test_a_reload_and_a_data_plane_at_once_are_a_reload(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        await stage.served(A)
        stage.source.found = other = candidate(2)
        stage.pipeline.reload("file")
        result = await stage.pipeline.resync()
        assert stage.pipeline.served is other
        assert result.reason == "file, data plane"

    play(body)


def refusal(*, is_passing: bool) -> Verdict:
    """What an engine says of the listener of a config."""
    key = ObjectKey("listener", ObjectName("web"))
    return Verdict((NO,), refused=(Refusal(key, "no"),), is_passing=is_passing)


def test_the_rest_of_a_config_serves_without_what_the_engine_refuses(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        stage.serving.refusals = [refusal(is_passing=False)]
        stage.source.rest = [B]
        result = await stage.served(A)
        assert result.outcome is Outcome.APPLIED
        assert stage.pipeline.served is B
        assert stage.source.refused == [[ObjectKey("listener", ObjectName("web"))]]
        assert not stage.pauses

    play(body)


def test_a_config_of_people_is_refused_whole(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        stage.serving.refusals = [refusal(is_passing=False)]
        result = await stage.served(A)
        assert result.outcome is Outcome.REFUSED
        assert result.diagnostics == (NO,)

    play(body)


def test_a_config_refused_for_a_cause_that_may_pass_is_tried_again(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        stage.serving.refusals = [refusal(is_passing=True)]
        assert (await stage.served(A)).outcome is Outcome.REFUSED
        assert stage.pauses == [5.0]
        stage.serving.refusals = [refusal(is_passing=False)]
        assert (await stage.served(A)).outcome is Outcome.REFUSED
        assert stage.pauses == [5.0]

    play(body)


def test_what_was_left_out_for_a_cause_that_may_pass_is_tried_less_and_less_often(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        for _ in range(2):
            stage.serving.refusals = [refusal(is_passing=True)]
            stage.source.rest = [B]
            assert (await stage.served(A)).is_ok
        assert stage.pauses == [5.0, 10.0]
        assert (await stage.served(A)).is_ok
        stage.serving.refusals = [refusal(is_passing=True)]
        stage.source.rest = [B]
        await stage.served(A)
        assert stage.pauses == [5.0, 10.0, 5.0]

    play(body)
