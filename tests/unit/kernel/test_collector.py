"""The collector rests while any thread asks for it, and is as it was before afterwards."""

import asyncio
import gc
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from headgate.kernel.collector import paused, relax


@pytest.fixture(autouse=True)
def _enabled() -> Iterator[None]:
    gc.enable()
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.enable()


def test_a_pause_that_began_within_another_may_end_after_it() -> None:
    """Two threads: whoever ends first does not decide for the other."""
    first, second = ExitStack(), ExitStack()
    first.enter_context(paused())
    second.enter_context(paused())
    first.close()
    assert not gc.isenabled()
    second.close()
    assert gc.isenabled()


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, KeyboardInterrupt])
def test_it_goes_on_after_work_that_failed(error: type[BaseException]) -> None:
    with pytest.raises(error), paused():
        raise error
    assert gc.isenabled()


def test_who_has_it_off_keeps_it_off() -> None:
    gc.disable()
    with paused(), paused():
        pass
    assert not gc.isenabled()


def test_a_relaxed_collector_still_frees_cycles() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    def collected() -> int:  # by whichever generation is due
        return sum(one["collected"] for one in gc.get_stats())

    relax()
    before = collected()
    for _ in range(25_000):
        Cycle()
    assert collected() > before


def test_at_the_end_of_a_relaxed_process_it_looks_at_nothing() -> None:
    """What is registered first is called last."""
    code = (
        "import atexit, gc\n"
        "from headgate.kernel.collector import relax\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
        "relax()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "True\n"
