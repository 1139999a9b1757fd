"""Warnings about the config that is served: the newest only, beside everything else."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace

import loops
from waiting import DEADLINE_S, until_async

from headgate.compile.settings import NodeSettings
from headgate.kernel.diagnostics import Diagnostic, Severity
from headgate.node.linter import Linter
from headgate.node.ports import Candidate
from headgate.plan.plan import Plan

SERVED = Candidate(
    plan=Plan(),
    node=NodeSettings(admin=(), metrics=(), state_dir=None, workers=None, log_level="info"),
    blobs={},
    warnings=(),
    locate=lambda kind, name, path: Diagnostic(file="a.toml", message=""),
)


def warning(text: str) -> Diagnostic:
    return Diagnostic(file="a.toml", message=text, severity=Severity.WARNING)


def serving(*texts: str) -> Candidate:
    """A config about which these warnings are to be found."""
    return replace(SERVED, lints=lambda: tuple(warning(text) for text in texts))


def play(body: Callable[[Linter, list[str]], Coroutine[None, None, None]]) -> None:
    """Runs a test's body beside a linter; the list has what was told, an empty text per look."""

    async def all_of_it() -> None:
        linter, told = Linter(quiet_s=0.01), list[str]()
        linter.on_found = lambda found: told.extend(["", *(one.message for one in found)])
        task = asyncio.create_task(linter.run())
        try:
            async with asyncio.timeout(20):
                await body(linter, told)
        finally:
            task.cancel()

    loops.run(all_of_it())


def test_a_warning_is_told_once_and_kept_for_as_long_as_it_holds() -> None:
    async def body(linter: Linter, told: list[str]) -> None:
        linter.look_at(serving("a"))
        await until_async(lambda: told == ["", "a"], "the first look")
        linter.look_at(serving("a", "b"))
        await until_async(lambda: told == ["", "a", "", "b"], "the second look")
        assert linter.found == (warning("a"), warning("b"))
        linter.look_at(serving())
        await until_async(lambda: linter.found == (), "the third look")

    play(body)


def test_of_configs_that_follow_each_other_the_newest_alone_is_looked_at() -> None:
    async def body(linter: Linter, told: list[str]) -> None:
        for text in ("a", "b", "c"):
            linter.look_at(serving(text))
        await until_async(lambda: bool(told), "a look")
        assert told == ["", "c"]

    play(body)


def test_what_was_found_about_a_config_that_is_replaced_meanwhile_is_dropped() -> None:
    async def body(linter: Linter, told: list[str]) -> None:
        looking, go_on = threading.Event(), threading.Event()

        def slow() -> tuple[Diagnostic, ...]:
            looking.set()
            go_on.wait(DEADLINE_S)
            return (warning("old"),)

        linter.look_at(replace(SERVED, lints=slow))
        await until_async(looking.is_set, "the look")
        linter.look_at(serving("new"))
        go_on.set()
        await until_async(lambda: bool(told), "the next look")
        assert told == ["", "new"]

    play(body)


def test_no_look_begins_while_a_reload_is_under_way() -> None:
    async def all_of_it() -> None:
        idle, looked = asyncio.Event(), asyncio.Event()
        linter = Linter(quiet_s=0.001, idle=idle)
        linter.on_found = lambda _: looked.set()
        task = asyncio.create_task(linter.run())
        async with asyncio.timeout(20):
            linter.look_at(serving("a"))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await looked.wait()
            assert not linter.found
            idle.set()
            await looked.wait()
            assert linter.found == (warning("a"),)
        task.cancel()

    loops.run(all_of_it())


def test_a_look_that_fails_is_no_end() -> None:
    async def body(linter: Linter, told: list[str]) -> None:
        looked = threading.Event()

        def broken() -> tuple[Diagnostic, ...]:
            looked.set()
            raise ZeroDivisionError

        linter.look_at(replace(SERVED, lints=broken))
        await until_async(looked.is_set, "the look")
        linter.look_at(serving("a"))
        await until_async(lambda: told == ["", "a"], "the next look")

    play(body)
