"""Limits how many searches run at a time: each may ask many agents, and waits for them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from headgate.master.api.problems import ProblemError

OF_A_WORKSPACE: Final = 2
OF_ALL: Final = 4
THROTTLED: Final = 429


class Turns:
    """The searches that a master has under way, by workspace."""

    def __init__(self) -> None:
        self._searches: Counter[str] = Counter()

    @property
    def under_way(self) -> int:
        """The number of searches under way."""
        return self._searches.total()

    @contextmanager
    def taken(self, workspace_id: str) -> Iterator[None]:
        """Takes a turn for the block; raises ProblemError (429) if there is none."""
        if self._searches[workspace_id] >= OF_A_WORKSPACE or self._searches.total() >= OF_ALL:
            raise ProblemError(
                THROTTLED,
                "throttled",
                f"a workspace may search logs {OF_A_WORKSPACE} times at once, and all of them"
                f" {OF_ALL} times; wait until a search has ended",
                headers={"retry-after": "3"},
            )
        self._searches[workspace_id] += 1
        try:
            yield
        finally:
            self._searches[workspace_id] -= 1
            if not self._searches[workspace_id]:
                del self._searches[workspace_id]
