"""The mailbox in an event loop: one at a time, the latest wins, everybody hears how it ended."""

import asyncio
import dataclasses
import threading
import time
from collections.abc import Callable

import loops
import pytest
from waiting import DEADLINE_S

from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.front import Figures, Front, Wish
from headgate.engines.nginx.apply.results import Applied, Rejected, Result
from headgate.engines.nginx.apply.schedule import Pace
from headgate.engines.nginx.common.types import Generation, Rendered
from headgate.engines.nginx.releases.names import ReleaseName

QUICK = Pace(debounce_s=0.01, endpoints_debounce_s=0.01, interval_applies=0.0)


class FakeApplier:
    """Applies when it is let."""

    def __init__(self) -> None:
        self.digests: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()
        self.fails = False

    def apply(
        self,
        render: Callable[[Generation], Rendered],
        *,
        plan_digest: str,
        probes: object,
        applied: Callable[[], object],
    ) -> Result:
        self.begun.set()
        self.gate.wait()
        self.digests.append(plan_digest)
        render(Generation(len(self.digests)))
        if self.fails:
            raise RuntimeError("broken")
        if plan_digest == "bad":
            cause = Finding("syntax", "no")
            return Rejected(1, "test", cause, (cause,))
        applied()
        return Applied(len(self.digests), ReleaseName(1, "0" * 12), 0.1, 0.2)


def wish(digest: str) -> Wish:
    return Wish(lambda _: Rendered(files=(), listeners=()), digest)


def run(story: Callable[[Front, FakeApplier], "asyncio.Future[None]"]) -> Front:
    async def main() -> Front:
        applier = FakeApplier()
        front = Front(applier, QUICK)  # type: ignore[arg-type]
        working = asyncio.create_task(front.run())
        async with asyncio.timeout(DEADLINE_S):
            await story(front, applier)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        return front

    return loops.run(main())


def test_a_plan_that_nginx_was_told_to_serve_is_told_before_its_result() -> None:
    told: list[tuple[str, bool]] = []

    def of(digest: str) -> Wish:
        loop = asyncio.get_running_loop()
        return dataclasses.replace(
            wish(digest),
            applied=lambda: told.append((digest, asyncio.get_running_loop() is loop)),
        )

    async def story(front: Front, _: FakeApplier) -> None:
        await front.apply(of("good"))
        assert told == [("good", True)]
        await front.apply(of("bad"))
        assert told == [("good", True)], "nginx was not told of one that is refused"

    run(story)  # type: ignore[arg-type]


def test_the_latest_of_many_is_applied_and_the_others_hear_of_it() -> None:
    async def story(front: Front, applier: FakeApplier) -> None:
        applier.gate.clear()
        first = asyncio.create_task(front.apply(wish("one")))
        assert await asyncio.to_thread(applier.begun.wait, DEADLINE_S)
        rest = [asyncio.create_task(front.apply(wish(f"{number}"))) for number in range(5)]
        await asyncio.sleep(0)
        applier.gate.set()
        assert isinstance(await first, Applied)
        results = await asyncio.gather(*rest)
        assert applier.digests == ["one", "4"]
        assert [isinstance(one, Applied) for one in results] == [False] * 4 + [True]
        later = Finding("superseded", "a later plan took its place", is_transient=True)
        assert results[:4] == [Rejected(0, "fetch", later, (later,))] * 4

    front = run(story)  # type: ignore[arg-type]
    assert (front.figures.applied, front.figures.superseded) == (2, 4)


def test_refusals_are_counted_by_their_cause() -> None:
    async def story(front: Front, _: FakeApplier) -> None:
        for digest in ("bad", "bad"):
            refused = await front.apply(wish(digest))
            assert isinstance(refused, Rejected)
            assert front.figures.last is refused
        assert isinstance(await front.apply(wish("good")), Applied)

    figures = run(story).figures  # type: ignore[arg-type]
    assert (figures.applied, figures.rejected, figures.by_cause) == (1, 2, {"syntax": 2})
    assert isinstance(figures.last, Applied)


def test_what_breaks_an_apply_is_told_and_breaks_no_other() -> None:
    async def story(front: Front, applier: FakeApplier) -> None:
        applier.fails = True
        with pytest.raises(RuntimeError, match="broken"):
            await front.apply(wish("one"))
        applier.fails = False
        assert isinstance(await front.apply(wish("two")), Applied)

    run(story)  # type: ignore[arg-type]


def test_a_caller_that_gives_up_stops_nothing() -> None:
    async def story(front: Front, applier: FakeApplier) -> None:
        applier.gate.clear()
        asking = asyncio.create_task(front.apply(wish("one")))
        assert await asyncio.to_thread(applier.begun.wait, DEADLINE_S)
        asking.cancel()
        applier.gate.set()
        assert isinstance(await front.apply(wish("two")), Applied)
        assert applier.digests == ["one", "two"]

    run(story)  # type: ignore[arg-type]


def test_an_apply_that_has_begun_is_waited_for_when_the_node_ends() -> None:
    """It ends by itself, a moment after the front was told to end."""

    async def main() -> list[str]:
        applier = FakeApplier()
        front = Front(applier, QUICK)  # type: ignore[arg-type]
        end = applier.gate.wait
        applier.gate.clear()
        applier.gate.wait = lambda *_: end(0.05)  # type: ignore[method-assign]
        working = asyncio.create_task(front.run())
        asking = asyncio.create_task(front.apply(wish("one")))
        assert await asyncio.to_thread(applier.begun.wait, DEADLINE_S)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        asking.cancel()
        return list(applier.digests)

    assert loops.run(main()) == ["one"]


def test_a_recovery_is_that_of_the_applier_and_blocks_nobody() -> None:
    """It runs in the thread of the applies: none of them can begin meanwhile."""
    cause = Finding("syntax", "no")
    recovered = Rejected(1, "test", cause)
    names: list[str] = []

    def recover() -> Result:
        names.append(threading.current_thread().name)
        return recovered

    async def story(front: Front, applier: FakeApplier) -> None:
        applier.recover = recover  # type: ignore[attr-defined]
        assert await front.recover() is recovered
        assert names == ["nginx-apply_0"]

    run(story)  # type: ignore[arg-type]


def test_an_apply_begins_only_after_a_recovery_that_has_begun() -> None:
    names: list[str] = []
    begun, gate = threading.Event(), threading.Event()

    def recover() -> None:
        begun.set()
        gate.wait(DEADLINE_S)
        names.append("recovered")

    def render(_: Generation) -> Rendered:
        names.append(threading.current_thread().name)
        return Rendered(files=(), listeners=())

    async def story(front: Front, applier: FakeApplier) -> None:
        applier.recover = recover  # type: ignore[attr-defined]
        recovering = asyncio.create_task(front.recover())
        assert await asyncio.to_thread(begun.wait, DEADLINE_S)
        asking = asyncio.create_task(front.apply(Wish(render)))
        while not front.figures.waited_s:  # noqa: ASYNC110 - nothing else tells that it is its turn
            await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(recovering, asking)
        assert names == ["recovered", "nginx-apply_0"]

    run(story)  # type: ignore[arg-type]


def test_the_wait_of_the_first_wish_is_told_and_over_when_an_urgent_one_comes() -> None:
    async def main() -> tuple[float, float, float]:
        pace = Pace(debounce_s=3_600.0, interval_applies=0.0)
        front = Front(FakeApplier(), pace)  # type: ignore[arg-type]
        told: asyncio.Queue[float] = asyncio.Queue()
        front.on_wait = told.put_nowait
        working = asyncio.create_task(front.run())
        asking = asyncio.create_task(front.apply(wish("one")))
        async with asyncio.timeout(DEADLINE_S):
            seconds = await told.get()
            before = front.waits_s()
            urgent = dataclasses.replace(wish("two"), urgent=True)
            assert isinstance(await front.apply(urgent), Applied)
            assert isinstance(await asking, Rejected)
        working.cancel()
        await asyncio.wait([working])
        return seconds, before, front.waits_s()

    seconds, before, after = loops.run(main())
    assert seconds >= before > 2
    assert after == 0.0


def test_a_long_wait_is_told_once() -> None:
    async def main() -> list[float]:
        applier = FakeApplier()
        pace = Pace(debounce_s=0.0, interval_applies=0.0, per_minute=1)
        front = Front(applier, pace)  # type: ignore[arg-type]
        told: list[float] = []
        is_told = asyncio.Event()

        def hear(seconds: float) -> None:
            told.append(seconds)
            is_told.set()

        front.on_wait = hear
        working = asyncio.create_task(front.run())
        assert isinstance(await front.apply(wish("one")), Applied)
        assert not told
        waiting = [asyncio.create_task(front.apply(wish("two")))]
        assert front.waits_s() == 0.0
        async with asyncio.timeout(DEADLINE_S):
            await is_told.wait()
        assert 2 < front.waits_s() <= told[0]
        with pytest.MonkeyPatch.context() as patch:
            later = time.monotonic() + 3600  # it is due, and does not run yet
            patch.setattr(time, "monotonic", lambda: later)
            assert front.waits_s() == 0.0
        waiting.append(asyncio.create_task(front.apply(wish("three"))))
        assert isinstance(await waiting[0], Rejected)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        waiting[1].cancel()
        assert applier.digests == ["one"]
        return told

    [seconds] = loops.run(main())
    assert 2 < seconds <= 60


def test_what_an_apply_waited_is_told_and_then_nothing_waits() -> None:
    async def main() -> tuple[float, float]:
        pace = Pace(debounce_s=0.2, interval_applies=0.0)
        front = Front(FakeApplier(), pace)  # type: ignore[arg-type]
        working = asyncio.create_task(front.run())
        assert isinstance(await front.apply(wish("one")), Applied)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        return front.figures.waited_s, front.waits_s()

    waited_s, waits_s = loops.run(main())
    assert 0.2 <= waited_s < DEADLINE_S
    assert waits_s == 0.0


def test_nginx_is_degraded_until_something_is_proven_to_serve() -> None:
    cause = Finding("syntax", "no")
    served = ReleaseName(1, "0" * 12)
    figures = Figures()
    seen = []
    for result in (
        Rejected(2, "test", cause),
        Rejected(3, "verify", cause, is_degraded=True),
        Rejected(4, "test", cause),
        Rejected(5, "verify", cause, serving=served),
        Rejected(6, "test", cause),
        Rejected(7, "verify", cause, is_degraded=True),
        Applied(8, served, 0.1, 0.2),
    ):
        figures.count(result)
        seen.append(figures.degraded)
    assert seen == [False, True, True, False, False, True, False]
