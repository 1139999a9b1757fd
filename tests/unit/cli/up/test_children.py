"""A process of `headgate up`: its start, what is said of one that does not come up, its end."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from pathlib import Path

import loops
import pytest
from waiting import DEADLINE_S

from headgate.cli.up import children
from headgate.cli.up.children import Child, UpError, start, when_ended

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def test_one_that_ended_is_named_with_the_end_of_what_it_said(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("an earlier start\nno port is free\n")

    async def wait() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(3)")
        await process.wait()
        await Child(process, "master", log, begin=17).until(lambda: False, "its start", 5)

    with pytest.raises(UpError) as error:
        loops.run(wait())
    assert str(error.value) == "the master ended with exit code 3:\nno port is free\n"


def test_one_that_takes_too_long_is_told_with_its_log(tmp_path: Path) -> None:
    async def wait() -> None:
        process = await asyncio.create_subprocess_exec("sleep", "60")
        child = Child(process, "agent", tmp_path / "a.log", begin=0)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await child.until(lambda: False, "its start", 0)
        finally:
            process.kill()
            await process.wait()

    with pytest.raises(UpError, match=rf"its start did not happen within 0 s; see {tmp_path}"):
        loops.run(wait())


def test_its_conditions_are_asked_after_until_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []
    found = [False, False, True]

    async def pause(seconds: float) -> None:
        paused.append(seconds)

    async def wait() -> None:
        process = await asyncio.create_subprocess_exec("sleep", "600")
        child = Child(process, "agent", tmp_path / "a.log", begin=0)
        try:
            await child.until(lambda: found.pop(0), "its start", 600)
        finally:
            process.kill()
            await process.wait()

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", pause)
        loops.run(wait())
    assert (found, paused) == ([], [0.05, 0.05])


def test_each_signal_reaches_it_until_it_has_ended(tmp_path: Path) -> None:
    program = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "signal.signal(signal.SIGINT, signal.SIG_DFL); print(flush=True); signal.pause()"
    )

    async def stop() -> list[int | None]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program), stdout=PIPE, stderr=DEVNULL
        )
        assert process.stdout is not None
        await process.stdout.readline()
        child = Child(process, "agent", tmp_path / "a.log", begin=0)
        async with asyncio.timeout(DEADLINE_S):
            await child.stop(signal.SIGTERM, signal.SIGINT)
        first = process.returncode
        await child.stop(signal.SIGTERM)
        return [first, process.returncode]

    assert loops.run(stop()) == [-signal.SIGINT, -signal.SIGINT]


def test_it_has_a_session_and_variables_of_its_own_and_adds_to_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import os, sys; print(os.environ['A'], os.environ['B'], sys.argv[1:], sys.stdin.read(),"
        " os.getsid(0) == os.getpid(), flush=True); sys.exit('no port is free')"
    )
    monkeypatch.setattr(children, "_PROGRAM", program)
    monkeypatch.setenv("A", "a")
    monkeypatch.setenv("B", "b")
    log = tmp_path / "a.log"
    log.write_text("an earlier start\n")

    async def said() -> str:
        child = await start("agent", log, ["agent", "--engine"], {"B": "c"})
        await child.process.wait()
        return child.said()

    text = "a c ['agent', '--engine']  True\nno port is free\n"
    assert loops.run(said()) == text
    assert log.read_text() == f"an earlier start\n{text}"


@pytest.fixture
def signals() -> Iterator[None]:
    """Puts back what the process does with its signals."""
    was = {one: signal.getsignal(one) for one in ENDS}
    yield
    for one, handler in was.items():
        signal.signal(one, handler)


async def _ends_by(number: signal.Signals) -> None:
    ended = asyncio.Event()
    when_ended(ended.set)
    try:
        os.kill(os.getpid(), number)
        async with asyncio.timeout(DEADLINE_S):
            await ended.wait()
    finally:
        for one in ENDS:
            asyncio.get_running_loop().remove_signal_handler(one)


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("number", ENDS)
def test_a_signal_ends_the_fleet(number: signal.Signals) -> None:
    signal.signal(signal.SIGHUP, lambda *_: None)
    loops.run(_ends_by(number))


@pytest.mark.usefixtures("signals")
def test_under_nohup_the_end_of_the_terminal_ends_nothing() -> None:
    async def ignored() -> bool:
        when_ended(lambda: None)
        is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        for one in ENDS:
            asyncio.get_running_loop().remove_signal_handler(one)
        return is_ignored

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert loops.run(ignored())
