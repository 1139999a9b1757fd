"""Readings that hang or break, and what becomes of the node then."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Coroutine

import loops
from waiting import DEADLINE_S, until_async

from headgate.compile.settings import NodeSettings
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.loading import Loading
from headgate.node.pipeline import Pipeline
from headgate.node.ports import Candidate, Rejected, Verdict
from headgate.node.results import Outcome, ReloadResult
from headgate.plan.plan import Plan
from headgate.providers.file.disk import Reading

SETTINGS = NodeSettings((), (), None, None, "info")
GOOD = Candidate(Plan(), SETTINGS, {}, (), lambda *_: Diagnostic(file="a.toml", message=""))


class StalledSource:
    """A source on a file system that answers when it is told to."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.loads = 0
        self._reading: Reading | None = None

    def load(self) -> Candidate | Rejected:
        self.loads += 1
        if not self.answers.is_set():  # one that answers is not waited for, however slow we are
            self._reading = Reading("/mnt/away/a.toml", time.monotonic())
            self.answers.wait(DEADLINE_S)
            self._reading = None
        return GOOD

    def isolate(self, candidate: Candidate, verdict: Verdict) -> Candidate | Rejected:
        return Rejected(verdict.errors)

    def reading(self) -> Reading | None:
        return self._reading

    async def changes(self) -> AsyncIterator[None]:
        for _ in ():
            yield

    def names(self) -> list[str]:
        return ["a.toml"]


class BrokenSource(StalledSource):
    """A source that meets a fault of ours as often as it is told to."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error: BaseException | None = error

    def load(self) -> Candidate | Rejected:
        self.loads += 1
        if self.error is not None:
            raise self.error
        return GOOD


class FakeServing:
    """Serves everything, or waits for ever."""

    def __init__(self) -> None:
        self.hangs = False
        self.digest = "ab"

    async def serve(self, candidate: Candidate) -> Verdict:
        if self.hangs:
            await asyncio.Event().wait()
        return Verdict(changed=True)

    async def settle(self, settings: NodeSettings) -> None:
        pass


class FakeOurs:
    def prepare(self, settings: NodeSettings) -> list[str]:
        return []

    def commit(self) -> None:
        pass

    def abandon(self) -> None:
        pass


def play(body: Coroutine[None, None, None]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await body

    loops.run(in_time())


def pipeline_of(source: StalledSource, serving: FakeServing, run_s: float = 600.0) -> Pipeline:
    pipeline = Pipeline(source, serving, FakeOurs(), run_s=run_s)  # type: ignore[arg-type]
    pipeline.loading = Loading(source, read_s=0.05)
    pipeline.loading.on_end = lambda: pipeline.reload("another try")
    return pipeline


def test_a_file_system_that_does_not_answer_fails_the_run_by_name_and_heals_by_itself() -> None:
    async def body() -> None:
        source = StalledSource()
        pipeline = pipeline_of(source, FakeServing())
        results: list[ReloadResult] = []
        pipeline.on_result = results.append
        task = asyncio.create_task(pipeline.run())
        first = await pipeline.reload("one")
        again = await pipeline.reload("two")
        assert [first.outcome, again.outcome] == [Outcome.FAILED, Outcome.FAILED]
        assert "/mnt/away/a.toml does not answer" in first.error
        assert "/mnt/away/a.toml does not answer" in again.error
        assert source.loads == 1, "a thread that hangs is the only one that does"
        source.answers.set()
        await until_async(lambda: pipeline.served is GOOD, "the config")
        assert results[-1].outcome is Outcome.APPLIED
        assert source.loads == 2, "what it read while it hung is of then"
        task.cancel()

    play(body())


class PanicError(BaseException):
    """As PyO3 raises a panic of the core's: no `Exception`."""


def test_an_error_of_ours_is_the_end_of_that_run_alone() -> None:
    async def body() -> None:
        for error in (ValueError("embedded null byte"), PanicError("index"), MemoryError()):
            source = BrokenSource(error)
            pipeline = pipeline_of(source, FakeServing())
            pipeline._again_s = 0.001
            task = asyncio.create_task(pipeline.run())
            result = await pipeline.reload("one")
            assert result.outcome is Outcome.FAILED
            assert "an error inside headgate ended the run" in result.error
            assert pipeline.served is None
            source.error = None
            await until_async(lambda: pipeline.served is GOOD, "another try")  # noqa: B023
            assert not task.done()
            task.cancel()

    play(body())


def test_who_reports_a_result_cannot_end_the_pipeline() -> None:
    async def body() -> None:
        source = StalledSource()
        source.answers.set()
        pipeline = pipeline_of(source, FakeServing())

        def broken(_result: ReloadResult) -> None:
            raise RuntimeError("a fault of ours")

        pipeline.on_result = broken
        task = asyncio.create_task(pipeline.run())
        for _ in range(2):
            assert (await pipeline.reload("one")).is_ok
        assert not task.done()
        task.cancel()

    play(body())


def test_a_run_that_does_not_end_is_cut_off_and_done_again() -> None:
    async def body() -> None:
        source, serving = StalledSource(), FakeServing()
        source.answers.set()
        serving.hangs = True
        pipeline = pipeline_of(source, serving, run_s=0.05)
        pipeline._again_s = 0.001
        task = asyncio.create_task(pipeline.run())
        result = await pipeline.reload("one")
        assert result.outcome is Outcome.FAILED
        assert "did not end within" in result.error
        serving.hangs = False
        await until_async(lambda: pipeline.served is GOOD, "another try")
        task.cancel()

    play(body())
