"""Notices reloads and restarts that were not ours."""

from collections.abc import Iterable

from headgate.engines.nginx.common.types import Process


class Reloads:
    """The workers that our own last apply ended with."""

    def __init__(self) -> None:
        self._own: frozenset[tuple[int, int]] = frozenset()

    def ours(self, workers: Iterable[Process]) -> None:
        """Records our own workers: an apply or a heal has just been verified."""
        self._own = _serving(workers)

    def is_foreign(self, workers: Iterable[Process]) -> bool:
        """Reports whether none of ours serves any more though others do.

        One worker that crashed and came back is not enough; without ours to compare, nothing is
        foreign, and the present workers become ours.
        """
        now = _serving(workers)
        if not self._own:
            self._own = now
        return bool(now) and not now & self._own


def _serving(workers: Iterable[Process]) -> frozenset[tuple[int, int]]:
    return frozenset((one.pid, one.started) for one in workers if not one.shutting_down)
