"""Tells systemd how a control plane is that has no supervisor on its host to do so."""

import asyncio
import os
import time
from typing import Final

from headgate.node.results import ReloadResult
from headgate.supervisor.notify import Notifier, watchdog_s

_MOST: Final = 200


class Systemd:
    """The states of sd_notify(3); without `NOTIFY_SOCKET` nobody is told."""

    def __init__(self, place: str) -> None:
        """`place`: where the data plane is."""
        self._notifier = Notifier(os.environ)
        self._place = place

    def waits(self, why: str = "") -> None:
        """The data plane cannot be reached; what was said of readiness stays."""
        reason = f": {why}" if why else ""
        self._send("STATUS", f"waits for the data plane at {self._place}{reason}")

    def ready(self) -> None:
        """The data plane serves a config of this process."""
        self._send("READY=1\nSTATUS", f"serving through {self._place}")

    def reloading(self) -> None:
        """A reload begins."""
        self._notifier.send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self, result: ReloadResult) -> None:
        """It has ended."""
        self._send("READY=1\nSTATUS", f"last reload: {result.outcome}")

    def leaves(self) -> None:
        """This process ends."""
        self._notifier.send("STOPPING=1")

    async def beat(self) -> None:
        """Shows the watchdog that the loop runs, if systemd watches; until cancelled."""
        interval_s = watchdog_s(os.environ)
        while interval_s is not None:
            self._notifier.send("WATCHDOG=1")
            await asyncio.sleep(interval_s)

    def _send(self, states: str, text: str) -> None:
        line = text[:_MOST].replace("\n", " ")
        self._notifier.send(f"{states}={line}")
