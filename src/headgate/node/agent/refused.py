"""Remembers what the engine refused of the bundle at hand, so that the next load of it does not try
that again. What may pass by itself is tried with each load.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Self

from headgate.compile.quarantine import Refusal
from headgate.node.ports import Candidate, Verdict
from headgate.plan.kinds import ObjectKey


class Refused:
    """The refused objects of one bundle; the next bundle begins with none."""

    def __init__(self) -> None:
        self._found: dict[ObjectKey, Refusal] = {}
        self._passing: set[ObjectKey] = set()

    def copy(self) -> Self:
        """Returns the same, to go back to."""
        other = type(self)()
        other._found, other._passing = dict(self._found), set(self._passing)
        return other

    def begin(self) -> None:
        """Forgets what may have passed."""
        for key in self._passing:
            self._found.pop(key, None)
        self._passing.clear()

    def add(self, candidate: Candidate, verdict: Verdict) -> bool:
        """Takes what was refused of a candidate; False if that is served nowhere already, so that
        a quarantine cannot help.
        """
        for one in verdict.refused:
            served = candidate.quarantined.get(one.key)
            if served is not None and served.form != "last good":
                return False
            self._found[one.key] = replace(one, is_last_refused=served is not None)
            if verdict.is_passing:
                self._passing.add(one.key)
        return bool(verdict.refused)

    def listed(self) -> Collection[Refusal]:
        """Returns the refused objects."""
        return tuple(self._found.values())
