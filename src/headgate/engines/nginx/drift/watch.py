"""Watches one instance for drift: kernel events, a scan each minute, the machine's commands.

An event only triggers a look; every decision is made on a fresh look.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

from watchfiles import awatch

from headgate.engines.nginx.drift.artefacts import Artefact, Artefacts, Original
from headgate.engines.nginx.drift.disk import Folder, Looks, folders_of, identified
from headgate.engines.nginx.drift.finding import Binary, Desired, Finding, Running, compared
from headgate.engines.nginx.drift.machine import (
    Alarm,
    Command,
    Heal,
    HealEnded,
    Looked,
    Machine,
    Report,
    Reprobe,
    Rules,
    WakeIn,
)

SCAN_S: Final = 60.0
"""The interval between full reads without any event: some mounts have none, and bits rot."""

_DEBOUNCE_MS: Final = 200
_STEP_MS: Final = 100
_APPLYING_S: Final = 0.5
_BLIND_S: Final = 1.0
_HELD: Final = "a hold keeps this nginx as it is; release it first"


class World(Protocol):
    """The methods needed of the instance and the apply engine; all may block and run in threads.

    An error raises an alarm for as long as it lasts.
    """

    def desired(self) -> Desired | None:
        """Returns how the last verified release must look; None while there is none."""
        ...

    def running(self) -> Running | None:
        """Returns what serves; None when it is unknown."""
        ...

    def binary(self) -> Binary | None:
        """Returns its binary; None when it cannot be read."""
        ...

    def is_applying(self) -> bool:
        """Reports whether an apply, rollback or heal is under way."""
        ...


class Acts(Protocol):
    """The actions that drift leads to; all may block and run in threads."""

    def report(self, finding: Finding) -> None:
        """Reports a finding that differs from the one before."""
        ...

    def heal(self, finding: Finding, artefact: Artefact) -> None:
        """Puts `finding.generation` back, on disk and in what nginx serves.

        Must do nothing when, under the lock of applies, another generation is now wanted. Raises an
        exception whose text says why it failed.
        """
        ...

    def reprobe(self) -> None:
        """Probes the new binary."""
        ...

    def alarm(self, text: str | None) -> None:
        """Raises an alarm, or ends it (None)."""
        ...


@dataclass(slots=True)
class DriftWatch:
    """The watch over one instance; `run` until cancelled. `rules` may be replaced meanwhile."""

    world: World
    acts: Acts
    rules: Rules
    artefacts: Artefacts
    original: Original
    held: Callable[[], bool]
    clock: Callable[[], float] = time.monotonic
    scan_s: float = SCAN_S
    _looks: Looks = field(default_factory=Looks)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _blind: str = ""
    _orders: list["asyncio.Future[str]"] = field(default_factory=list)

    async def run(self) -> None:
        """Watches until cancelled."""
        machine = Machine(self.rules)
        events = _Events(self._woken)
        scan_at = self.clock()
        try:
            while True:
                self._woken.clear()
                thoroughly = self.clock() >= scan_at
                if thoroughly:
                    scan_at = self.clock() + self.scan_s
                try:
                    # First listen, then look: a change in between causes another look.
                    await events.listen(await asyncio.to_thread(self._ears))
                    wake = await self._turn(machine, thoroughly)
                except Exception as error:
                    # Whatever the error, the watch continues.
                    wake, why = _BLIND_S, str(error) or type(error).__name__
                    self._answer(list(self._orders), why)
                    await self._see(f"drift cannot be looked at: {why}", machine)
                if not events.is_listening:
                    wake = min(wake, _BLIND_S)
                await self._wait(min(wake, scan_at - self.clock()))
        finally:
            await events.close()

    async def heal(self) -> str:
        """Heals the drift there is now, whatever the policy; returns why it did not, "" when it did
        or nothing is to be healed. Waits for an apply that is under way. `run` must be running.
        """
        order: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._orders.append(order)
        self._woken.set()
        return await order

    def wake(self) -> None:
        """Makes it look at once, after an apply or a released hold. From the loop's own thread."""
        self._woken.set()

    async def _turn(self, machine: Machine, thoroughly: bool) -> float:
        """Looks once and acts; returns the seconds until the next look is due."""
        orders = list(self._orders)
        desired, event = await asyncio.to_thread(self._look, thoroughly)
        if event is not None and orders:
            event = replace(event, is_ordered=True)
        machine.rules = self.rules
        await self._see("", machine)
        if desired is None or event is None:
            self._answer(orders, "nothing was applied yet")
            return _APPLYING_S
        wake = _APPLYING_S if event.is_applying else self.scan_s
        why = _HELD if event.is_held and event.finding.is_drift else ""
        for command in machine.handle(event, self.clock()):
            if isinstance(command, WakeIn):
                wake = min(wake, command.seconds)
            else:
                why = await self._carry_out(command, machine, desired) or why
        if not event.is_applying:
            self._answer(orders, why)
        return wake

    def _answer(self, orders: list["asyncio.Future[str]"], why: str) -> None:
        """Tells those who ordered a heal how it ended."""
        for order in orders:
            self._orders.remove(order)
            if not order.done():
                order.set_result(why)

    def _ears(self) -> frozenset[Folder]:
        desired = self.world.desired()
        return identified(folders_of(desired)) if desired is not None else frozenset()

    def _look(self, thoroughly: bool) -> tuple[Desired | None, Looked | None]:
        applying = self.world.is_applying()
        desired = self.world.desired()
        if desired is None:
            return None, None
        disk = self._looks.look(desired, thoroughly=thoroughly)
        finding = compared(desired, disk, self.world.running(), self.world.binary())
        # An apply that began or ended meanwhile makes this look worthless.
        moved = applying or self.world.is_applying() or self.world.desired() != desired
        return desired, Looked(finding, self.held(), moved)

    async def _carry_out(self, command: Command, machine: Machine, desired: Desired) -> str:
        """Does what the machine wants; returns why a heal failed, else nothing."""
        match command:
            case Report(finding):
                await asyncio.to_thread(self.acts.report, finding)
            case Heal(finding):
                why = await asyncio.to_thread(self._heal, finding, desired)
                self._woken.set()
                for after in machine.handle(HealEnded(why), self.clock()):
                    await self._carry_out(after, machine, desired)
                return why
            case Reprobe():
                await asyncio.to_thread(self.acts.reprobe)
            case Alarm(text):
                await asyncio.to_thread(self.acts.alarm, text)
            case WakeIn():
                pass
        return ""

    def _heal(self, finding: Finding, desired: Desired) -> str:
        """Keeps what is there, then heals; returns why it did not, "" when it did."""
        try:
            artefact = self.artefacts.keep(desired, finding, self.original)
        except Exception as error:
            return f"what was found could not be kept: {str(error) or type(error).__name__}"
        try:
            self.acts.heal(finding, artefact)
        except Exception as error:
            # Whatever the error, the watch continues.
            return str(error) or type(error).__name__
        return ""

    async def _see(self, blind: str, machine: Machine) -> None:
        """Reports once that it cannot look, and once that it can again."""
        if blind != self._blind:
            self._blind = blind
            await asyncio.to_thread(self.acts.alarm, blind or machine.alarm)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._woken.wait()


class _Events:
    """Sets an event whenever something changes in the folders it listens to."""

    def __init__(self, woken: asyncio.Event) -> None:
        self._woken = woken
        self._folders: frozenset[Folder] = frozenset()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_listening(self) -> bool:
        """True if the kernel sends events; False when it refuses more watches."""
        return self._task is not None and not self._task.done()

    async def listen(self, folders: frozenset[Folder]) -> None:
        """Listens to these folders from the return on; a replaced folder counts as another."""
        if folders == self._folders and self.is_listening:
            return
        await self.close()
        self._folders = folders
        if folders:
            self._task = asyncio.create_task(self._listen([folder.path for folder in folders]))
            # It runs until it waits: by then the kernel's watches exist.
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Stops listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _listen(self, paths: list[Path]) -> None:
        async for _ in awatch(
            *paths,
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            recursive=False,
        ):
            self._woken.set()
