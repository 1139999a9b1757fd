"""The driver of an agent's session: what it does when a connection breaks in an odd way."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import fleet_parts as parts
import loops
import pytest
from structlog.testing import capture_logs
from waiting import until_async

from headgate.fleet import agent_events as ev
from headgate.fleet import frames as fr
from headgate.fleet.agent_session import AgentFacts, AgentSession, State
from headgate.kernel.errors import Invalid
from headgate.node.agent.applying import Applying
from headgate.node.agent.driver import Disk, SessionDriver
from headgate.providers.master.fallback import LinkError
from headgate.providers.master.incoming import Incoming
from headgate.providers.master.store import BundleStore


class OddCarrier:
    """Ends at once by `ends`; its close raises `breaks`."""

    def __init__(self, ends: Exception, breaks: Exception) -> None:
        self._ends = ends
        self._breaks = breaks

    async def send(self, frame: bytes) -> None:
        del frame

    async def frames(self) -> AsyncIterator[bytes]:
        raise self._ends
        yield b""

    async def close(self) -> None:
        raise self._breaks


def driver(folder: Path, carrier: OddCarrier) -> SessionDriver:
    """A driver that dials again at once and always gets this carrier."""

    def verify(raw: bytes, signature: bytes) -> object:
        raise Invalid("nothing", "nothing")

    async def dial() -> OddCarrier:
        return carrier

    session = AgentSession(AgentFacts("one", 1, "0.1"), lambda: 0.0)
    disk = Disk(BundleStore(folder / "b", verify), Incoming(folder / "i"))  # type: ignore[arg-type]
    return SessionDriver(session, dial, disk, cast(Applying, None))


def logged(folder: Path, carrier: OddCarrier) -> list[str]:
    """What is logged until the second dial."""

    async def scenario() -> None:
        running = driver(folder, carrier)
        task = asyncio.create_task(running.run())
        try:
            await until_async(lambda: running.contact.dials > 1, "the next dial")
        finally:
            task.cancel()

    with capture_logs() as lines:
        loops.run(scenario())
    return [f"{one['event']}: {one.get('exc_info', '')}" for one in lines]


def test_a_connection_that_cannot_be_closed_well_is_dialled_again(tmp_path: Path) -> None:
    for breaks in (LinkError("gone"), OSError("gone")):
        assert logged(tmp_path, OddCarrier(LinkError("cut"), breaks)) == []


def test_a_fault_of_a_carrier_is_logged_and_the_master_is_dialled_again(tmp_path: Path) -> None:
    lines = logged(tmp_path, OddCarrier(LinkError("cut"), ValueError("a fault of ours")))
    assert "master.task_broken: a fault of ours" in lines
    lines = logged(tmp_path, OddCarrier(ValueError("another fault"), LinkError("gone")))
    assert any("another fault" in line or "unhandled errors" in line for line in lines)


class SilentCarrier(OddCarrier):
    """Stays open and says nothing."""

    async def frames(self) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""


def test_why_the_master_hung_up_is_told_although_the_connection_ends_too(tmp_path: Path) -> None:
    async def scenario() -> str:
        running = driver(tmp_path, SilentCarrier(LinkError("unused"), LinkError("gone")))
        handled: list[None] = []
        running.on_handled = lambda: handled.append(None)
        task = asyncio.create_task(running.run())
        try:
            await until_async(lambda: len(handled) == 2, "the start and the connection")
            goodbye = fr.Goodbye("revoked", "this agent was revoked", 60.0)
            running.post(ev.Received(fr.MasterFrame(0, 1, goodbye)))
            running.post(ev.Disconnected("the master ended the session"))
            running.post(ev.Tick())
            await until_async(lambda: len(handled) >= 4, "what came")
            return running.contact.last_error
        finally:
            task.cancel()

    assert loops.run(scenario()) == "revoked: this agent was revoked"


class FailingDisk(Disk):
    """Fails once, then does its work in memory."""

    def __init__(self, breaks: Exception) -> None:
        self._breaks: Exception | None = breaks

    def find_missing(self, command: ev.FindMissing) -> ev.Event:
        self._fail()
        wanted = {entry.sha256 for entry in command.manifest.entries}
        return ev.Missing(command.job, tuple(map(fr.Want, wanted)))

    def store(self, command: ev.Store) -> ev.Event | None:
        self._fail()
        return ev.Stored(command.sha256, True)

    def _fail(self) -> None:
        breaks, self._breaks = self._breaks, None
        if breaks is not None:
            raise breaks


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (ValueError("a fault of ours"), "a fault of the agent's: a fault of ours"),
    ],
)
def test_a_piece_of_disk_work_that_failed_is_told_to_the_session(
    breaks: Exception, said: str
) -> None:
    work: list[ev.Command] = [
        ev.FindMissing(3, parts.manifest(1)),
        ev.Store("a" * 64, 0, 1, b"x"),
    ]
    failed = [ev.DiskFailed(said, job=3), ev.DiskFailed(said, sha256="a" * 64)]
    for command, expected in zip(work, failed, strict=True):
        session = ScriptedSession(command)
        with capture_logs():
            loops.run(told(session, FailingDisk(breaks), expected))


def test_an_apply_that_broke_is_told_to_the_session() -> None:
    class Broken:
        async def apply(self, command: ev.Apply, said: object) -> None:
            del command, said
            raise ValueError("a fault of ours")

    session = ScriptedSession(ev.Apply(3, parts.manifest(1), parts.offer(1, 1)))
    fault = fr.Fault("agent", "a fault of the agent's: a fault of ours", True)
    expected = ev.Progress(3, fr.Phase.REJECTED, fault=fault)
    with capture_logs() as lines:
        loops.run(told(session, cast(Disk, None), expected, cast(Applying, Broken())))
    assert any(str(line.get("exc_info")) == "a fault of ours" for line in lines)


class ScriptedSession:
    """Gives one command at the start, and keeps what it is told."""

    def __init__(self, command: ev.Command) -> None:
        self.state = State.WAITING
        self.clock_ms = 0
        self.heard: list[ev.Event] = []
        self._command = command

    def handle(self, event: ev.Event, now: float) -> list[ev.Command]:
        del now
        self.heard.append(event)
        return [self._command] if isinstance(event, ev.Start) else []

    def deadline(self) -> float | None:
        return None


async def told(
    session: ScriptedSession,
    disk: Disk,
    expected: ev.Event,
    applying: Applying | None = None,
) -> None:
    """Runs a driver until its session was told what is expected."""

    async def dial() -> OddCarrier:
        raise AssertionError

    running = SessionDriver(cast(AgentSession, session), dial, disk, cast(Applying, applying))
    task = asyncio.create_task(running.run())
    try:
        await until_async(lambda: expected in session.heard, "the word")
    finally:
        task.cancel()
