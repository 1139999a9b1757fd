"""An agent's report on its master in `GET /status`."""

import msgspec


class RevisionStatus(msgspec.Struct, frozen=True):
    """One revision and the hash of its manifest."""

    revision: int
    hash: str


class MasterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's state with its master; times are Unix seconds, 0 = never.

    `state`: `enrolling`, `waiting` (for the next dial), `dialling`, `greeting`, `live` or
    `stopped`. `acknowledged` is the newest revision that was offered and accepted, `serving` the
    one proven to answer, `refused` the one that this node refused for good. `held` are the bundles
    on disk, the newest first; `skipped` those that cannot be used, and why. `upgrade_error` says
    why the newest order to upgrade failed, if it did.
    """

    url: str
    agent: str = ""
    scope: str = ""
    state: str = "enrolling"
    acknowledged: RevisionStatus | None = None
    applied: RevisionStatus | None = None
    serving: RevisionStatus | None = None
    refused: RevisionStatus | None = None
    held: list[int] = []
    skipped: dict[str, str] = {}
    last_contact_at: float = 0.0
    last_error: str = ""
    certificate_not_after: float = 0.0
    dials: int = 0
    upgrade_error: str = ""

    @property
    def is_connected(self) -> bool:
        """True if a session with the master is live."""
        return self.state == "live"
