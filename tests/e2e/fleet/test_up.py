"""`headgate up`: from nothing to a request through a fleet, and a second start."""

import asyncio
import signal
from pathlib import Path

import loops
import pytest
from running_node import get
from up_fleet import Up

from headgate.cli.up.children import when_ended


@pytest.mark.timeout(400)
def test_a_fleet_comes_up_from_nothing_and_again(folder: Path) -> None:
    up = Up(folder)
    with up.started() as said:
        assert "/setup#hgs_" in said.read_text()
        assert get(up.proxy)[1].startswith(b"upstream ")
        assert "serving=1" in up.ask("agents")
    with up.started(ended_by=signal.SIGHUP) as said:
        assert "/setup#" not in said.read_text()
        assert get(up.proxy)[1].startswith(b"upstream ")
        assert "connected" in up.ask("agents")


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_closed_terminal_ends_it_unless_nohup_started_it(before: signal.Handlers) -> None:
    async def play() -> bool:
        when_ended(lambda: None)
        return asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)

    was = signal.signal(signal.SIGHUP, before)
    try:
        assert loops.run(play()) is (before is signal.SIG_DFL)
    finally:
        signal.signal(signal.SIGHUP, was)
