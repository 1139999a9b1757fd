"""A node's report on its nginx's drift: made anew only when a look found something else."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol, TypeAlias

from headgate.engines.nginx.common.drifted import DriftReport
from headgate.engines.nginx.drift import Finding, Policy, Rules, Standing

WouldWrite: TypeAlias = Callable[[int], Awaitable[Mapping[str, bytes] | None]]
"""Returns what would be written now as a generation, by path in the release; None: not known."""


class Watch(Protocol):
    """The watch over an nginx, driven or foreign."""

    @property
    def finding(self) -> Finding | None:
        """The finding of the last look."""
        ...

    def standing(self) -> Standing:
        """Returns what is done about drift."""
        ...

    def drift(
        self, now: Mapping[str, bytes] | None, secrets: Collection[str]
    ) -> DriftReport | None:
        """Returns how it differs. Blocks; raises OSError."""
        ...


class DriftSight:
    """The last report of drift, and what a fleet ordered to be done about it."""

    def __init__(self) -> None:
        self.rules: Rules | None = None
        """The fleet's; None: the node's own settings count."""
        self._of: tuple[Finding, Standing] | None = None
        self._report: DriftReport | None = None

    def order(self, policy: str, heal_after_s: float) -> None:
        """Takes a fleet's policy; a word that is none of ours leaves it to the node."""
        known = policy in {one.value for one in Policy}
        self.rules = Rules(Policy(policy), heal_after_s) if known else None

    async def looked(
        self, watch: Watch, would_write: WouldWrite, secrets: Collection[str]
    ) -> DriftReport | None:
        """Returns the report of the newest look; the one before where it cannot be made."""
        finding = watch.finding
        if finding is None:
            return None
        of = (finding, await asyncio.to_thread(watch.standing))
        if of != self._of:
            now = await would_write(finding.generation) if finding.edits else None
            try:
                self._report = await asyncio.to_thread(watch.drift, now, secrets)
            except OSError:
                return self._report
            self._of = of
        return self._report
