"""Tells agents apart whose control process fails at each start, by what they say when they come.

Once one stays connected for a while it has mended; until then it counts as failing, here or away.
"""

from typing import Final

from headgate.fleet.frames import FAILING_STARTS

MENDED_AFTER_MS: Final = 60_000


class Failing:
    """The agents of one master that came as failing ones, and have not lasted yet."""

    def __init__(self) -> None:
        self._joined: dict[str, int] = {}

    def joined(self, agent: str, failed_starts: int, now_ms: int) -> dict[str, object]:
        """Returns what to keep of an agent that comes, as if it had not failed before."""
        if failed_starts < FAILING_STARTS:
            self._joined.pop(agent, None)
            return {"failing_since": None, "failed_starts": None}
        self._joined[agent] = now_ms
        return {"failing_since": now_ms, "failed_starts": min(failed_starts, 2**31 - 1)}

    def seen(self, agent: str, now_ms: int) -> dict[str, object]:
        """Returns what to keep of an agent that is still here."""
        joined = self._joined.get(agent)
        if joined is None or now_ms - joined < MENDED_AFTER_MS:
            return {}
        del self._joined[agent]
        return {"failing_since": None, "failed_starts": None}

    def left(self, agent: str) -> None:
        """The agent's session has ended."""
        self._joined.pop(agent, None)
