"""Tells a master how the nginx of its agent drifts, and does what it orders about that."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import msgspec

from headgate.engines.nginx.common.drifted import DriftFile, DriftReport
from headgate.fleet.drift import Drift, DriftedFile, HealEnd, bounded
from headgate.fleet.orders import DRIFT_POLICY, HEAL, NODE, DriftPolicy, Heal, OrderBody
from headgate.providers.master.store import write_private

ORDERS: Final = (DRIFT_POLICY, HEAL)
"""The orders that an agent with an nginx takes."""
_FILE: Final = "drift.json"
_LOOK_S: Final = 1.0
_MS: Final = 1000


@runtime_checkable
class Drifting(Protocol):
    """The nginx of a node, as far as its drift goes; no other engine has files that drift."""

    def order_policy(self, policy: str, heal_after_s: float) -> None:
        """Takes a fleet's policy; `node` leaves drift to the node's own settings."""
        ...

    async def heal(self) -> str:
        """Undoes the drift there is now; returns why not, "" when done or there is none."""
        ...

    async def drift(self) -> DriftReport | None:
        """Returns how it differs; None before a look."""
        ...


class _Kept(msgspec.Struct):
    agent: str
    policy: str
    heal_after_s: float


class FleetDrift:
    """The drift of one nginx, between its node and its master."""

    def __init__(self, nginx: Drifting, folder: Path) -> None:
        """`folder`: where the fleet's policy is kept, for a start without a master."""
        self._nginx = nginx
        self._path = folder / _FILE
        self._kept: _Kept | None = None
        self._ended: HealEnd | None = None
        self._order = 0
        """The newest heal that was ordered."""
        self._healing: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()

    def recall(self, agent: str) -> None:
        """Follows the policy that this agent was given before its node was started."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except (OSError, ValueError):
            return
        if found.agent == agent:
            self._kept = found
            self._nginx.order_policy(found.policy, found.heal_after_s)

    def ordered(self, agent: str, order: OrderBody) -> None:
        """Does what the master orders; from the loop."""
        if isinstance(order, DriftPolicy):
            self._nginx.order_policy(order.policy, order.heal_after_s)
            self._keep(_Kept(agent, order.policy, order.heal_after_s))
            self._woken.set()
        elif isinstance(order, Heal) and order.order != self._order:
            self._order = order.order
            task = asyncio.create_task(self._heal(order))
            self._healing.add(task)
            task.add_done_callback(self._healing.discard)

    async def run(self, tell: Callable[[Drift], None]) -> None:
        """Tells of the drift at first, and whenever it is another one, until cancelled."""
        told: Drift | None = None
        while True:
            self._woken.clear()
            found = await self._nginx.drift()
            now = None if found is None else replace(drift_of(found), heal=self._ended)
            if now is not None and now != told:
                told = now
                tell(now)
            await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_S):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _heal(self, order: Heal) -> None:
        why = await self._nginx.heal()
        self._ended = HealEnd(order.order, why)
        self._woken.set()

    def _keep(self, kept: _Kept) -> None:
        """Writes the policy if it changed; a full disk costs it at a start without a master."""
        if kept == self._kept:
            return
        try:
            if kept.policy == NODE:
                self._path.unlink(missing_ok=True)
            else:
                write_private(self._path, msgspec.json.encode(kept))
        except OSError:
            return
        self._kept = kept


def drift_of(report: DriftReport) -> Drift:
    """Returns what the master is told of a report."""
    return bounded(
        Drift(
            since_ms=round(report.since * _MS),
            states=report.states,
            files=tuple(map(_file, report.files)),
            total=report.total,
            policy=report.policy,
            held=report.held,
            alarm=report.alarm,
        )
    )


def _file(file: DriftFile) -> DriftedFile:
    since_ms = round(file.since * _MS)
    return DriftedFile(file.path, file.how, since_ms, file.diff, file.next, file.next_diff)
