"""Decides when a master offers what an agent must serve, and in which form. Pure.

| what the agent has                          | what follows                                       |
|---------------------------------------------|----------------------------------------------------|
| serves it, and accepted nothing after it    | nothing                                            |
| refused it for good                         | nothing, until another version is wanted           |
| refused it for now                          | an offer after 5 s, 10 s, … 5 min                  |
| accepted it and is at work                  | nothing; an offer if it has left off               |
| was offered it and says nothing             | an offer after 15 s, 30 s, … 5 min                 |
| anything else: nothing, older, newer, other | an offer                                           |

An offer is a difference if the master knows the manifest that the agent serves and the agent has
not found that wrong; else it is complete. It brings along what the agent is known to lack.
"""

from headgate.fleet import frames as fr
from headgate.fleet import manifest as mf
from headgate.fleet.agent_work import ANSWER_S, BASE, HASH
from headgate.fleet.master_events import (
    Changes,
    Contents,
    Desired,
    nothing_known,
    nothing_sent,
)
from headgate.fleet.pacing import RETRY_LAST_S, Backoff
from headgate.fleet.signing import offer_content


class Offers:
    """The offers of one session, and what became of them."""

    def __init__(self) -> None:
        self.held = fr.Held()
        self.agent = ""
        self.fence = 0
        self.desired: Desired | None = None
        self.listed: mf.Manifest | None = None
        self.offered: fr.Offer | None = None
        self._nonce = 0
        self._changes: Changes = nothing_known
        self._contents: Contents = nothing_sent
        self._refused: fr.Version | None = None
        self._failed: fr.Version | None = None
        self._wants_full = False
        self._backoff = Backoff()
        self._answer_s = ANSWER_S
        self._due: float | None = None
        self._is_answered = False

    def deadline(self) -> float | None:
        """Returns when `next` may have an offer without another event."""
        return self._due

    @property
    def base(self) -> str:
        """The hash of the manifest that the agent serves; empty: it serves none."""
        return self.held.serving.hash if self.held.serving else ""

    def want(
        self,
        desired: Desired | None,
        listed: mf.Manifest | None,
        changes: Changes,
        contents: Contents = nothing_sent,
    ) -> None:
        """Sets what the agent must serve, and what finds how it is offered (see DesiredIs)."""
        if desired is None or self.desired is None or desired.version != self.desired.version:
            self._due = None
            self._failed = self._refused = None
            self._wants_full = False
            self._backoff.reset()
            self._answer_s = ANSWER_S
        self.desired, self.listed = desired, listed
        self._changes, self._contents = changes, contents

    def reported(self, report: fr.Report, now: float) -> None:
        """Takes what the agent says of a version."""
        desired = self.desired
        self.held = report.held
        if desired is None or report.version != desired.version:
            return
        self._is_answered = True
        self._due = None
        fault = report.fault
        if report.phase is fr.Phase.SERVING:
            self._backoff.reset()
        elif report.phase in (fr.Phase.REJECTED, fr.Phase.ROLLED_BACK):
            if fault is not None and not fault.is_transient:
                self._refused = desired.version
            elif fault is not None and fault.code in (BASE, HASH) and not self._wants_full:
                self._wants_full = True
                self.offered = None
            else:
                self._fail(desired.version, now)

    def beaten(self, held: fr.Held, now: float) -> None:
        """Takes what the agent has, with a heartbeat: what was lost on the way shows here."""
        self.held = held
        offered = self.offered
        if offered is None or not self._is_answered or held.is_busy or self._due is not None:
            return
        if held.acknowledged != offered.version:
            self.offered = None
        elif offered.version not in (held.serving, held.refused, self._refused):
            self._fail(offered.version, now)

    def next(self, now: float) -> fr.Offer | None:
        """Returns the offer to send now, if there is one."""
        desired = self.desired
        if desired is None or self._is_settled(desired):
            self._due = None
            return None
        version = desired.version
        if self._due is not None and now < self._due:
            return None
        if self._is_outstanding(version) and self._due is None:
            return None
        if self.offered is not None and self.offered.version == version and self._failed is None:
            self._answer_s = min(RETRY_LAST_S, self._answer_s * 2)
        self._failed = None
        self._is_answered = False
        self._due = now + self._answer_s
        self._nonce += 1
        self.offered = self._offer(desired)
        return self.offered

    def _is_settled(self, desired: Desired) -> bool:
        held, version = self.held, desired.version
        if version in (held.refused, self._refused) and held.scope in ("", desired.scope):
            return True
        return held.scope == desired.scope and version == held.serving == held.acknowledged

    def _is_outstanding(self, version: fr.Version) -> bool:
        return self.offered is not None and self.offered.version == version and self._failed is None

    def _fail(self, version: fr.Version, now: float) -> None:
        self._failed = version
        self._due = now + self._backoff.wait_s()

    def _offer(self, desired: Desired) -> fr.Offer:
        body, base = desired.manifest, ""
        serving = self.held.serving
        if serving and not self._wants_full and self.held.scope == desired.scope:
            changes = self._changes(serving.hash)
            if changes is not None and len(changes) < len(body):
                body, base = changes, serving.hash
        content = offer_content(self.agent, self.fence, self._nonce, desired.version.hash)
        return fr.Offer(
            nonce=self._nonce,
            scope=desired.scope,
            version=desired.version,
            manifest=body,
            signature=desired.signature,
            base=base,
            rollout=desired.rollout,
            wave=desired.wave,
            within_s=desired.within_s,
            binding=desired.bind(content),
            contents=self._contents(self.base) if base == self.base else b"",
        )
