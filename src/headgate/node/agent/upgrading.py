"""Obeys the master's orders to go over to another version of headgate, each once, over restarts.

| step         | what happens                           | next                                   |
|--------------|----------------------------------------|----------------------------------------|
| installing   | the command installs the version       | handing-over, or putting-back          |
| handing-over | the supervisor replaces the processes  | a start of that version; putting-back  |
| putting-back | the command installs what runs         | ended: failed                          |
| installing   | a start of the version that was wanted | handing-over: only that process is new |
| any other    | a start of the version that was wanted | ended                                  |
| any          | a start of another version             | putting-back                           |

The step is on disk before it begins, so that whatever kills the node in it is known afterwards, and
what is installed is what runs. Traffic is not touched before the version has said that it can drive
this node.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Literal

import msgspec
import structlog

from headgate.fleet.frames import UpgradeEnded
from headgate.fleet.orders import Upgrade
from headgate.fleet.programs import ALLOWED, is_program
from headgate.node.agent.installing import Installer, InstallError
from headgate.node.link import LinkError
from headgate.providers.master.store import write_private

_FILE: Final = "upgrade.json"
_REPLACED_S: Final = 60.0
_log = structlog.get_logger()

HandOver = Callable[[], Awaitable[None]]


class _Record(msgspec.Struct, frozen=True):
    """The newest order; `text` says why it failed, once it has `ended`."""

    order: int
    program: str
    step: Literal["installing", "handing-over", "putting-back", "ended"]
    text: str = ""


class Upgrading:
    """The orders of one agent."""

    def __init__(
        self, folder: Path, program: str, installer: Installer | None, hand_over: HandOver
    ) -> None:
        """`program`: the version that runs. `installer`: None for a node that takes no orders.
        `hand_over` replaces the node's processes, this one too; raises LinkError."""
        self._path = folder / _FILE
        self._program = program
        self._installer = installer
        self._hand_over = hand_over
        self._record = self._read()
        self._task: asyncio.Task[None] | None = None
        self.on_ended: Callable[[UpgradeEnded], None] = lambda ended: None
        """Called when an order has ended, and when one comes again that had."""
        self.on_step: Callable[[str], None] = lambda text: None
        """Called with what begins now."""

    @property
    def program(self) -> str:
        """The version that runs."""
        return self._program

    @property
    def can_upgrade(self) -> bool:
        """True if this node takes orders."""
        return self._installer is not None

    @property
    def ended(self) -> UpgradeEnded | None:
        """The newest order, if it has ended."""
        last = self._record
        if last is None or last.step != "ended":
            return None
        return UpgradeEnded(last.order, last.program, last.text)

    def begin(self) -> None:
        """Ends what the last process of this node left unfinished; once, within the loop."""
        last = self._record
        if last is None or last.step == "ended":
            return
        if last.program == self._program and last.step == "installing":
            # The supervisor and the data plane may still be of the version before.
            self._task = asyncio.get_running_loop().create_task(self._resume(last))
            return
        if last.program == self._program:
            with contextlib.suppress(OSError):  # the master repeats its order
                self._end(last, "")
            return
        why = {
            "installing": "the agent was restarted while its upgrade command ran",
            "handing-over": f"the node runs {self._program} after the restart",
            "putting-back": last.text or "the agent was restarted in an upgrade",
        }[last.step]
        self._task = asyncio.get_running_loop().create_task(self._recover(last, why))

    def order(self, upgrade: Upgrade) -> None:
        """Obeys an order in the background; one that is not newer than the last changes nothing."""
        if self._record is not None and upgrade.order < self._record.order:
            return
        if (ended := self.ended) is not None and ended.order == upgrade.order:
            self.on_ended(ended)
            return
        if self._task is not None and not self._task.done():
            return  # the master repeats it
        self._task = asyncio.get_running_loop().create_task(self._obey(upgrade))

    async def _obey(self, upgrade: Upgrade) -> None:
        try:
            new = _Record(upgrade.order, upgrade.program, "installing")
            if self._installer is None:
                self._end(new, "this node has no upgrade command; start it with one")
            elif not is_program(upgrade.program):
                self._end(new, f"{upgrade.program!r} is not a version; {ALLOWED}")
            else:
                await self._go_over(new, self._installer)
        except OSError as error:
            # Nothing has begun that is not on disk; the master repeats its order.
            _log.error("upgrade.disk", error=str(error))

    async def _go_over(self, new: _Record, installer: Installer) -> None:
        self._keep(new, "installing")
        self.on_step(f"headgate {new.program} is being installed")
        try:
            if await self._now(installer) != new.program:
                await installer.install(new.program)
            found = await installer.installed()
            if found != new.program:
                raise InstallError(f"the command ended well, but installed is {found}")
            if found == self._program:
                self._end(new, "")
                return
            await self._take_over(new)
        except InstallError as error:
            await self._put_back(new, str(error))
        except LinkError as error:
            await self._put_back(new, f"its processes did not take over: {error}")

    async def _take_over(self, new: _Record) -> None:
        """Replaces the node's processes; raises LinkError, or InstallError if this one stays."""
        self._keep(new, "handing-over")
        self.on_step(f"headgate {new.program} takes over")
        await self._hand_over()
        await asyncio.sleep(_REPLACED_S)
        raise InstallError("this process was not replaced")

    async def _resume(self, last: _Record) -> None:
        """Hands over for a process that ended between the two; it did not say what ran before."""
        try:
            await self._take_over(last)
        except (InstallError, LinkError) as error:
            why = f"its control process runs {last.program}, and the others did not follow: {error}"
            with contextlib.suppress(OSError):
                self._end(last, why)
        except OSError as error:
            _log.error("upgrade.disk", error=str(error))

    async def _recover(self, last: _Record, why: str) -> None:
        try:
            await self._put_back(last, why)
        except OSError as error:
            _log.error("upgrade.disk", error=str(error))

    async def _put_back(self, last: _Record, why: str) -> None:
        """Makes what runs the one that is installed, so that a restart of the node finds it."""
        self._keep(last, "putting-back", why)
        if self._installer is not None and await self._now(self._installer) != self._program:
            try:
                await self._installer.install(self._program)
            except InstallError as error:
                why = f"{why}; {self._program} could not be installed again: {error}"
        self._end(last, why)

    async def _now(self, installer: Installer) -> str:
        with contextlib.suppress(InstallError):
            return await installer.installed()
        return ""

    def _end(self, last: _Record, text: str) -> None:
        self._keep(last, "ended", text)
        self.on_ended(UpgradeEnded(last.order, last.program, text))

    def _keep(
        self,
        last: _Record,
        step: Literal["installing", "handing-over", "putting-back", "ended"],
        text: str = "",
    ) -> None:
        """Writes the step. Raises OSError."""
        record = msgspec.structs.replace(last, step=step, text=text)
        write_private(self._path, msgspec.json.encode(record))
        self._record = record

    def _read(self) -> _Record | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Record)
        except (OSError, ValueError):
            return None
