"""A source of config that gives what a test put there."""

from collections.abc import AsyncIterator

from headgate.node.ports import Candidate, Rejected, Verdict
from headgate.plan.kinds import ObjectKey


class ScriptedSource:
    """Gives `found`, counts how often it was asked, and never changes by itself.

    `rest` is what it gives for candidates of which something was `refused`.
    """

    def __init__(self, found: Candidate | Rejected) -> None:
        self.found = found
        self.loads = 0
        self.rest: list[Candidate] = []
        self.refused: list[list[ObjectKey]] = []

    def load(self) -> Candidate | Rejected:
        """What the test put there."""
        self.loads += 1
        return self.found

    def isolate(self, candidate: Candidate, verdict: Verdict) -> Candidate | Rejected:
        """What the test gave for that."""
        self.refused.append([one.key for one in verdict.refused])
        return self.rest.pop(0) if self.rest else Rejected(verdict.errors)

    def reading(self) -> None:
        """It never waits."""

    async def changes(self) -> AsyncIterator[None]:
        """None."""
        for _ in ():
            yield

    def names(self) -> list[str]:
        """One document."""
        return ["a.toml"]
