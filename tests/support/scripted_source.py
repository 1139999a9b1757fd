"""A source of config that gives what a test put there."""

from collections.abc import AsyncIterator

from headgate.node.ports import Candidate, Rejected


class ScriptedSource:
    """Gives `found`, counts how often it was asked, and never changes by itself."""

    def __init__(self, found: Candidate | Rejected) -> None:
        self.found = found
        self.loads = 0

    def load(self) -> Candidate | Rejected:
        """What the test put there."""
        self.loads += 1
        return self.found

    def reading(self) -> None:
        """It never waits."""

    async def changes(self) -> AsyncIterator[None]:
        """None."""
        for _ in ():
            yield

    def names(self) -> list[str]:
        """One document."""
        return ["a.toml"]
