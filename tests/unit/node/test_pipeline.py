"""The reload pipeline with both of its ends played by the test."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

import loops
import pytest
from fake_service import FakeService
from scripted_source import ScriptedSource
from waiting import until_async

from headgate.compile.settings import NodeSettings
from headgate.engines.native.engine import NativeEngine
from headgate.engines.types import EngineUnavailableError
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.agent.applying import fault_of
from headgate.node.link import AddressError, BusyError, DataPlane
from headgate.node.pipeline import Pipeline
from headgate.node.ports import Candidate, Objection, Rejected, Verdict
from headgate.node.results import Outcome
from headgate.node.serving.native import NativeServing
from headgate.plan.objects import Endpoint, Listener, Upstream
from headgate.plan.plan import entry, plan_of

SETTINGS = NodeSettings(admin=(), metrics=(), state_dir=None, workers=None, log_level="info")


def place(kind: str, name: str, path: str) -> Diagnostic:
    return Diagnostic(file="a.toml", line=3, column=1, path=f"{kind}.{name}.{path}", message="")


def candidate(*addresses: str, endpoint: str = "127.0.0.1:9") -> Candidate:
    plan = plan_of(
        [
            entry("listener", "web", Listener(addresses=addresses, protocol="http")),
            entry("upstream", "app", Upstream(endpoints=(Endpoint(address=endpoint),))),
        ]
    )
    return Candidate(plan=plan, node=SETTINGS, blobs={}, warnings=(), locate=place)


@dataclass
class FakeSockets:
    """A supervisor that opens everything but what is busy."""

    busy: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    async def listen(self, addresses: list[str], backlog: int) -> None:
        assert backlog > 0
        errors = [
            AddressError(a, "address already in use", self.busy[a])
            for a in addresses
            if a in self.busy
        ]
        if errors:
            raise BusyError(tuple(errors))
        self.calls.append(("listen", tuple(addresses)))

    async def release(self, addresses: list[str]) -> None:
        self.calls.append(("release", tuple(addresses)))

    async def workers(self, count: int | None) -> None:
        assert count is None


@dataclass
class FakeOurs:
    """The control process's own addresses: says what is wrong, notes what became of it."""

    wrong: list[Objection] = field(default_factory=list)
    committed: int = 0
    abandoned: int = 0

    def prepare(self, settings: NodeSettings) -> list[Objection]:
        return self.wrong

    def commit(self) -> None:
        self.committed += 1

    def abandon(self) -> None:
        self.abandoned += 1


class Stage:
    """A running pipeline and everything around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.service = FakeService(1)
        self.source = ScriptedSource(candidate("127.0.0.1:80"))
        self.sockets = FakeSockets()
        self.ours = FakeOurs()
        self.engine = NativeEngine("test")
        self.serving = NativeServing(self.engine, self.sockets)
        self.pipeline = Pipeline(self.source, self.serving, self.ours)

    async def announce(self, generation: int) -> None:
        """A new data plane comes up in place of the old one."""
        await self.service.stop()
        self.service = FakeService(generation)
        path = self.folder / f"dp-{generation}.sock"
        await self.service.start(path)
        self.serving.announced(DataPlane(generation, 1, str(path)))


Body = Callable[[Stage], Coroutine[None, None, None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Body], None]:
    """Runs a test's body beside a pipeline."""

    def run(body: Body) -> None:
        async def all_of_it() -> None:
            stage = Stage(tmp_path)
            await stage.announce(1)
            task = asyncio.create_task(stage.pipeline.run())
            try:
                async with asyncio.timeout(20):
                    await body(stage)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await stage.engine.close()
                await stage.service.stop()

        loops.run(all_of_it())

    return run


def test_listeners_are_opened_before_and_closed_after_the_plan_is_served(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        first = await stage.pipeline.reload("start")
        assert first.outcome is Outcome.APPLIED
        stage.source.found = candidate("127.0.0.1:81")
        second = await stage.pipeline.reload("request")
        assert second.digest == stage.service.digest
        assert stage.sockets.calls == [
            ("listen", ("127.0.0.1:80",)),
            ("listen", ("127.0.0.1:81",)),
            ("release", ("127.0.0.1:80",)),
        ]
        assert stage.ours.committed == 2

    play(body)


def test_the_collector_goes_on_while_a_run_waits_for_the_engine(
    play: Callable[[Body], None],
) -> None:
    """The admin API and the metrics are served meanwhile, for seconds or half a minute."""

    async def body(stage: Stage) -> None:
        seen: list[bool] = []
        serve = stage.serving.serve

        async def looked_at(candidate: Candidate) -> Verdict:
            seen.append(gc.isenabled())
            return await serve(candidate)

        stage.serving.serve = looked_at  # type: ignore[method-assign]
        await stage.pipeline.reload("start")
        assert seen == [True]

    play(body)


def test_a_question_after_a_replacement_goes_to_the_data_plane_that_serves_now(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        await stage.pipeline.reload("start")
        await stage.announce(2)
        plane, metrics = await asyncio.gather(stage.serving.status(), stage.serving.metrics())
        assert plane.native is not None
        assert plane.native.generation == 2
        assert metrics is not None

    play(body)


def test_a_rejected_config_changes_nothing(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        await stage.pipeline.reload("start")
        served = stage.service.digest
        wrong = Diagnostic(file="a.toml", line=1, column=1, message="no")
        stage.source.found = Rejected((wrong,))
        result = await stage.pipeline.reload("request")
        assert result.outcome is Outcome.REFUSED
        assert result.diagnostics == (wrong,)
        assert result.digest == served == stage.service.digest
        assert stage.pipeline.counts[Outcome.REFUSED] == 1

    play(body)


def test_a_busy_port_refuses_the_config_and_says_where_it_stands(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        stage.sockets.busy["127.0.0.1:80"] = "nginx (pid 7)"
        result = await stage.pipeline.reload("start")
        assert result.outcome is Outcome.REFUSED
        assert str(result.diagnostics[0]) == (
            "a.toml:3:1: listener.web.address: cannot listen on 127.0.0.1:80:"
            " address already in use (held by nginx (pid 7))"
        )
        assert stage.service.transactions == []

    play(body)


def test_an_admin_address_that_cannot_be_opened_refuses_the_config(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        stage.ours.wrong = [Objection("admin[0]", "the address is taken", "write another")]
        result = await stage.pipeline.reload("start")
        assert result.outcome is Outcome.REFUSED
        (only,) = result.diagnostics
        assert (only.message, only.allowed) == ("the address is taken", "write another")
        assert stage.sockets.calls == []
        assert stage.ours.committed == 0

    play(body)


def test_what_the_data_plane_refuses_is_reported_and_new_listeners_are_closed_again(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        stage.service.refuse = "app"
        result = await stage.pipeline.reload("start")
        assert result.outcome is Outcome.REFUSED
        assert str(result.diagnostics[0]) == "a.toml:3:1: upstream.app.x: no"
        assert not result.is_passing
        assert stage.sockets.calls[-1] == ("release", ("127.0.0.1:80",))
        stage.service.is_passing = True
        assert (await stage.pipeline.reload("again")).is_passing

    play(body)


def test_reloads_that_are_asked_for_during_a_reload_become_one(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        first = stage.pipeline.reload("start")
        await until_async(lambda: stage.source.loads == 1)
        stage.source.found = candidate("127.0.0.1:80", endpoint="127.0.0.1:10")
        rest = [stage.pipeline.reload(f"r{i}") for i in range(20)]
        assert (await first).is_ok
        results = [await one for one in rest]
        assert stage.source.loads == 2
        assert {result.digest for result in results} == {stage.source.found.plan.digest.hex()}

    play(body)


def test_a_new_data_plane_gets_what_is_served_without_reading_the_config(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        await stage.pipeline.reload("start")
        served = stage.service.digest
        await stage.announce(2)
        result = await stage.pipeline.resync()
        assert result.outcome is Outcome.APPLIED
        assert stage.service.digest == served
        assert stage.source.loads == 1

    play(body)


def test_a_data_plane_that_dies_during_a_reload_is_replaced_and_the_reload_goes_on(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        await stage.pipeline.reload("start")
        await stage.service.stop()
        stage.source.found = candidate("127.0.0.1:80", endpoint="127.0.0.1:10")
        waiting = stage.pipeline.reload("request")
        await until_async(lambda: stage.engine.identity is None)
        await stage.announce(2)
        assert (await waiting).is_ok
        assert stage.service.digest == stage.source.found.plan.digest.hex()

    play(body)


def test_a_data_plane_that_leaves_in_an_upgrade_does_not_refuse_a_config(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        await stage.pipeline.reload("start")
        stage.service.is_leaving = True
        stage.source.found = candidate("127.0.0.1:80", endpoint="127.0.0.1:10")
        waiting = stage.pipeline.reload("request")
        await until_async(lambda: len(stage.service.transactions) == 2)
        await stage.announce(2)
        assert (await waiting).outcome is Outcome.APPLIED
        assert stage.service.digest == stage.source.found.plan.digest.hex()

    play(body)


def test_what_was_prepared_for_a_refused_config_is_given_up(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        stage.service.refuse = "app"
        assert (await stage.pipeline.reload("start")).outcome is Outcome.REFUSED
        assert (stage.ours.committed, stage.ours.abandoned) == (0, 1)

    play(body)


def test_what_was_prepared_is_given_up_when_the_engine_goes_away(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        async def gone(_candidate: Candidate) -> Verdict:
            raise EngineUnavailableError("gone")

        stage.serving.serve = gone  # type: ignore[assignment,method-assign]
        result = await stage.pipeline.reload("start")
        assert (result.outcome, result.error) == (Outcome.FAILED, "gone")
        assert (stage.ours.committed, stage.ours.abandoned) == (0, 1)

    play(body)


def test_a_refusal_for_a_cause_that_may_pass_says_so(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        for is_passing in (True, False):
            verdict = Verdict((Diagnostic(file="", message="no memory"),), is_passing=is_passing)

            async def refused(_candidate: Candidate, verdict: Verdict = verdict) -> Verdict:
                return verdict

            stage.serving.serve = refused  # type: ignore[assignment,method-assign]
            result = await stage.pipeline.reload("start")
            assert (result.outcome, result.is_passing) == (Outcome.REFUSED, is_passing)
            assert fault_of(result).is_transient is is_passing, "the master tries it again"

    play(body)


def test_the_last_success_is_the_last_config_that_was_found_and_served(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        assert stage.pipeline.last_success_at == 0.0
        first = await stage.pipeline.reload("start")
        assert stage.pipeline.last_success_at == first.at > 0.0
        stage.source.found = Rejected(())
        assert not (await stage.pipeline.reload("request")).is_ok
        assert stage.pipeline.last_success_at == first.at
        stage.source.found = candidate("127.0.0.1:80")
        again = await stage.pipeline.reload("request")
        assert again.outcome is Outcome.UNCHANGED
        assert stage.pipeline.last_success_at == again.at > first.at

    play(body)


def test_a_valid_config_is_told_before_it_is_served(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        told: list[tuple[Candidate, bool]] = []
        pipeline = stage.pipeline
        pipeline.on_validated = lambda one: told.append((one, pipeline.served is None))
        assert (await pipeline.reload("start")).outcome is not Outcome.REFUSED
        assert told == [(pipeline.served, True)]

    play(body)


def test_a_config_that_serves_is_told_and_one_that_does_not_is_not(
    play: Callable[[Body], None],
) -> None:
    async def body(stage: Stage) -> None:
        told: list[Candidate] = []
        pipeline = stage.pipeline
        pipeline.on_served = told.append
        stage.service.refuse = "app"
        assert (await pipeline.reload("start")).outcome is Outcome.REFUSED
        assert told == []
        stage.service.refuse = ""
        assert (await pipeline.reload("request")).outcome is Outcome.APPLIED
        assert told == [pipeline.served]

    play(body)
