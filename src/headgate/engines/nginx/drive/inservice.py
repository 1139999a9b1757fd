"""Knows which plan nginx serves: the one applied last, or that of a release after a rollback."""

from typing import Final

from headgate.engines.nginx.releases.names import ReleaseName
from headgate.engines.nginx.releases.store import Store, UnknownReleaseError
from headgate.plan.plan import Plan

_KEEP: Final = 5
"""The number of plans that it remembers; they share what they have in common."""


class InService:
    """Knows the plan of the last proven release. Reads one link, and a manifest when it moved."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._plans: dict[str, Plan] = {}
        self._known: tuple[ReleaseName | None, str] = (None, "")
        self._applied = ""

    def proven(self, plan: Plan, digest: str) -> None:
        """Records that nginx was just proven to serve this plan."""
        self._plans.pop(digest, None)
        self._plans[digest] = plan
        for old in list(self._plans)[:-_KEEP]:
            del self._plans[old]
        self._applied = digest
        self._known = (self._store.linked("known_good"), digest)

    def digest(self) -> str:
        """Returns the digest (hex) of the plan
        that nginx was last proven to serve; empty = unknown.

        After a rollback by hand the older release names its plan.
        """
        name = self._store.linked("known_good")
        if name != self._known[0]:
            self._known = (name, self._named(name))
        return self._known[1]

    def plan(self) -> Plan:
        """Returns the plan of `digest`; empty where this process has not applied it."""
        return self._plans.get(self.digest(), Plan())

    def other(self) -> str:
        """Returns the serving release's name unless its plan was applied last; else empty."""
        if self._applied and self.digest() != self._applied:
            return str(self._known[0] or "")
        return ""

    def _named(self, name: ReleaseName | None) -> str:
        if name is None:
            return ""
        try:
            return self._store.release(name).manifest.plan_digest
        except UnknownReleaseError:
            return ""
