"""Handles the offers of an agent: one at a time, a mailbox of one, the latest wins. Pure.

| stage    | what comes           | next     | what follows                                    |
|----------|----------------------|----------|-------------------------------------------------|
| (idle)   | an offer             | looking  | received; FindMissing                           |
| looking  | Missing, some        | fetching | what the offer brought; Fetch for the rest,     |
|          |                      |          | anew after 15 s without an answer               |
| looking, | nothing is missing   | applying | Apply; after its deadline: rejected, transient  |
| fetching |                      |          |                                                 |
| looking, | a newer offer        | looking  | received; FindMissing; the older one is dropped |
| fetching |                      |          |                                                 |
| looking, | DiskFailed           | (idle)   | rejected, transient; the mailbox is next        |
| fetching |                      |          |                                                 |
| applying | a newer offer        | applying | received; it takes the mailbox                  |
| applying | Progress             | applying | report, after 0.25 s if it is still the newest  |
| applying | the last Progress    | (idle)   | report; the mailbox is next                     |
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TypeAlias

from headgate.fleet import agent_events as ev
from headgate.fleet import chunk_codec
from headgate.fleet import frames as fr
from headgate.fleet import manifest as mf
from headgate.fleet.signing import manifest_is_signed, offer_content, offer_is_bound
from headgate.kernel.errors import Invalid

ANSWER_S = 15.0
_LINGER_S = 0.25
_WANTS = 64
_TRIES = 3
_UNBOUND = (
    "the master did not make this offer for this session; look for a proxy that repeats older"
    " ones, or upgrade the master"
)
BASE, HASH = "base", "hash"
"""Codes of faults after which the master sends the complete manifest."""
QUARANTINED = "quarantined"
"""The code of the fault of a revision that serves without some of its objects."""

Base: TypeAlias = tuple[str, mf.Manifest]
"""The manifest that an agent serves, with its hash."""
Read: TypeAlias = Callable[[tuple[bytes, ...], Base | None, fr.Offer], mf.Manifest]
"""A function like `read_offer`."""
Step: TypeAlias = ev.Command | fr.Fetch | fr.Report
"""A command, or a body that the session sends."""


class Stage(Enum):
    """See the table above."""

    LOOKING = 1
    FETCHING = 2
    APPLYING = 3


@dataclass(slots=True)
class Job:
    """An offer that was accepted."""

    number: int
    fence: int
    offer: fr.Offer
    manifest: mf.Manifest
    expires: float | None
    stage: Stage = Stage.LOOKING
    wants: dict[str, int] = field(default_factory=dict)
    """The offset from which each missing blob is wanted."""
    whole: set[str] = field(default_factory=set)
    """Blobs of which the last byte came, and which are being verified."""
    spoilt: dict[str, int] = field(default_factory=dict)
    ask_again: float | None = None
    progress: ev.Progress | None = None
    """The progress of applying, as long as it was not reported."""
    report_at: float | None = None


class Work:
    """The offers of one agent."""

    def __init__(
        self,
        agent: str,
        keys: Sequence[bytes],
        held: fr.Held,
        serving: mf.Manifest | None = None,
        bound: int = 0,
    ) -> None:
        """`keys`: raw Ed25519 public keys of the master; `serving`: the manifest of
        `held.serving`, against which the master may send differences."""
        self._agent = agent
        self._keys = tuple(keys)
        self.bound = bound
        """The fence of the newest session in which a bound offer came; 0: none ever did."""
        self._held = held
        self._base: Base | None = (serving.hash(), serving) if serving else None
        self.read: Read = read_offer
        """Verifies and reads an offer; simulations of many agents share the reading."""
        self._newest = (0, 0)
        self._numbers = 0
        self.current: Job | None = None
        self.mailbox: Job | None = None
        self.last_fault: fr.Fault | None = None
        self.fault_of: fr.Version | None = None
        """The revision that `last_fault` is about."""
        self.refused_for: fr.Fault | None = None
        """The fault for which `held.refused` was refused; None: not known."""
        self.quarantine: fr.Fault | None = None
        """The agent's last fault about objects that it serves in quarantine; None: of none."""
        self.fence = 0

    @property
    def held(self) -> fr.Held:
        """The versions that the agent has, and whether it is at work."""
        return replace(self._held, is_busy=self.current is not None)

    def recall(self, fault: fr.Fault | None, of: fr.Version | None) -> None:
        """Takes what an earlier process of the agent said, for the next Hello: that tells of a
        refusal rather than of a quarantine, because rollouts wait for the former."""
        if fault is None or of is None:
            return
        if of == self._held.refused:
            self.refused_for = fault
        elif fault.code == QUARANTINED:
            self.quarantine = fault
        if fault is self.refused_for or self.refused_for is None:
            self._failed(fault, of)

    def deadline(self) -> float | None:
        """Returns when `tick` is due."""
        if self.current is None:
            return None
        times = (self.current.ask_again, self.current.report_at)
        return min((at for at in times if at is not None), default=None)

    def offered(self, offer: fr.Offer, now: float) -> list[Step]:
        """Takes an offer of this session."""
        order = (self.fence, offer.nonce)
        if order <= self._newest:
            return []
        self._newest = order
        if not self._is_bound(offer):
            self._failed(fr.Fault("binding", _UNBOUND, True), offer.version)
            return [self._report(offer, fr.Phase.REJECTED, fault=self.last_fault)]
        if offer.version == self._held.refused and not self._is_at(offer):
            fault = self.refused_for or fr.Fault("refused", "this node refused it before")
            return [self._report(offer, fr.Phase.REJECTED, fault=fault)]
        if self.current and self._same(self.current, offer):
            self.mailbox = None
            return self._adopted(self.current, offer)
        try:
            manifest = self.read(self._keys, self._base, offer)
        except RefusedError as refused:
            self._failed(refused.fault, offer.version)
            return [self._report(offer, fr.Phase.REJECTED, fault=refused.fault)]
        return self._accepted(offer, manifest, now)

    def missing(self, event: ev.Missing, now: float) -> list[Step]:
        """Takes the answer to FindMissing."""
        job = self.current
        if job is None or job.number != event.job or job.stage is not Stage.LOOKING:
            return []
        job.wants = {want.sha256: want.offset for want in event.wants}
        job.stage = Stage.FETCHING
        return self._brought(job, now) or self._go_on(job, now)

    def chunks(self, body: fr.Chunks, now: float) -> list[Step]:
        """Takes parts of blobs; what nobody wants, or wants from another offset, is dropped."""
        job = self.current
        if job is None or job.stage is not Stage.FETCHING:
            return []
        if unknown := [sha256 for sha256 in body.unknown if sha256 in job.wants]:
            text = f"the master does not have blob {unknown[0]}"
            return self._end(job, fr.Phase.REJECTED, now, fr.Fault("blob", text, True))
        sizes = {entry.sha256: entry.size for entry in job.manifest.entries}
        steps: list[Step] = []
        for chunk in body.chunks:
            if chunk.sha256 in job.whole or job.wants.get(chunk.sha256) != chunk.offset:
                continue
            end = chunk.offset + len(chunk.data)
            if chunk.total != sizes.get(chunk.sha256) or end > chunk.total:
                text = f"blob {chunk.sha256} has another size than the manifest says"
                return [
                    *steps,
                    *self._end(job, fr.Phase.REJECTED, now, fr.Fault("blob", text, True)),
                ]
            job.wants[chunk.sha256] = end
            if end == chunk.total:
                job.whole.add(chunk.sha256)
            steps.append(ev.Store(chunk.sha256, chunk.offset, chunk.total, chunk.data))
        return [*steps, *self._go_on(job, now)] if steps else []

    def _brought(self, job: Job, now: float) -> list[Step]:
        """Takes what is missing from what came with the offer."""
        if not job.wants or not job.offer.contents:
            return []
        try:
            brought = chunk_codec.decode(job.offer.contents)
        except Invalid as error:
            return self._end(job, fr.Phase.REJECTED, now, fr.Fault("contents", str(error), True))
        return self.chunks(fr.Chunks(brought.chunks), now)

    def stored(self, event: ev.Stored, now: float) -> list[Step]:
        """Takes the verdict on a blob that was stored."""
        job = self.current
        if job is None or job.stage is not Stage.FETCHING or event.sha256 not in job.wants:
            return []
        job.whole.discard(event.sha256)
        if event.is_good:
            del job.wants[event.sha256]
            return [] if job.wants else self._go_on(job, now)
        count = job.spoilt[event.sha256] = job.spoilt.get(event.sha256, 0) + 1
        if count >= _TRIES:
            text = f"blob {event.sha256} came {count} times with another hash"
            return self._end(job, fr.Phase.REJECTED, now, fr.Fault("blob", text, True))
        job.wants[event.sha256] = 0
        return self._go_on(job, now)

    def disk_failed(self, event: ev.DiskFailed, now: float) -> list[Step]:
        """Gives up what the disk did not take; the master offers it again."""
        job = self.current
        if job is None or job.stage is Stage.APPLYING:
            return []
        is_looking = job.stage is Stage.LOOKING
        is_of_job = event.job == job.number if is_looking else event.sha256 in job.wants
        fault = fr.Fault("disk", event.why, True)
        return self._end(job, fr.Phase.REJECTED, now, fault) if is_of_job else []

    def progress(self, event: ev.Progress, now: float) -> list[Step]:
        """Takes how far an Apply is."""
        job = self.current
        if job is None or job.number != event.job or job.stage is not Stage.APPLYING:
            return []
        if event.phase.is_final:
            return self._end(job, event.phase, now, event.fault, event)
        if event.phase is fr.Phase.APPLIED:
            self._held = replace(self._held, applied=job.offer.version)
        if job.report_at is None:
            job.report_at = now + _LINGER_S
        job.progress = event
        return []

    def noticed(self, event: ev.Noticed) -> list[Step]:
        """Takes what happened without an offer."""
        version = event.version
        if event.phase is fr.Phase.SERVING:
            self._held = replace(self._held, applied=version, serving=version)
            self.quarantine = event.fault
            if self.refused_for is None:
                self._failed(event.fault, version)
        elif self._held.serving == version:
            self._held = replace(self._held, serving=None)
        if event.fault and event.phase is not fr.Phase.SERVING:
            self._failed(event.fault, version)
        return [
            fr.Report(
                nonce=0,
                scope=self._held.scope,
                version=version,
                phase=event.phase,
                held=self.held,
                fault=event.fault,
                effective_hash=event.effective_hash,
            )
        ]

    def resumed(self, now: float) -> list[Step]:
        """A new session stands: asks again for what was not answered."""
        job = self.current
        return self._go_on(job, now) if job and job.stage is Stage.FETCHING else []

    def tick(self, now: float) -> list[Step]:
        """Asks again where no answer came in time, and reports what lasts."""
        job = self.current
        if job is None:
            return []
        if job.ask_again is not None and now >= job.ask_again:
            return self._go_on(job, now)
        event = job.progress
        if event is None or job.report_at is None or now < job.report_at:
            return []
        job.progress = job.report_at = None
        return [self._report(job.offer, event.phase, event.fault, event, job)]

    def _failed(self, fault: fr.Fault | None, version: fr.Version) -> None:
        self.last_fault, self.fault_of = fault, version if fault else None

    def _is_bound(self, offer: fr.Offer) -> bool:
        """Says whether the master meant this offer for this agent and session. TLS may end before
        the master, and who stands there could send an older revision again, signature and all.
        Only before the first bound offer may one come that is not bound, from an older master."""
        if not offer.binding:
            return not self.bound
        content = offer_content(self._agent, self.fence, offer.nonce, offer.version.hash)
        if not offer_is_bound(self._keys, content, offer.binding):
            return False
        self.bound = self.fence
        return True

    def _accepted(self, offer: fr.Offer, manifest: mf.Manifest, now: float) -> list[Step]:
        if offer.scope != self._held.scope:
            self._held = fr.Held(offer.scope)
        self._held = replace(self._held, acknowledged=offer.version)
        applying = self.current is not None and self.current.stage is Stage.APPLYING
        if offer.version == self._held.serving and not applying:
            self.current = self.mailbox = None
            return [self._report(offer, fr.Phase.SERVING)]
        self._numbers += 1
        expires = now + offer.within_s if offer.within_s else None
        job = Job(self._numbers, self.fence, offer, manifest, expires)
        if applying:
            self.mailbox = job
            return [self._report(offer, fr.Phase.RECEIVED)]
        self.current, self.mailbox = job, None
        return [self._report(offer, fr.Phase.RECEIVED), ev.FindMissing(job.number, manifest)]

    def _adopted(self, job: Job, offer: fr.Offer) -> list[Step]:
        """The same version was offered again: it goes on under the new nonce."""
        job.offer, job.fence = offer, self.fence
        self._held = replace(self._held, acknowledged=offer.version)
        return [self._report(offer, fr.Phase.RECEIVED)]

    def _same(self, job: Job, offer: fr.Offer) -> bool:
        return (job.offer.scope, job.offer.version) == (offer.scope, offer.version)

    def _is_at(self, offer: fr.Offer) -> bool:
        return any(job and self._same(job, offer) for job in (self.current, self.mailbox))

    def _go_on(self, job: Job, now: float) -> list[Step]:
        if job.wants:
            wants = [fr.Want(*want) for want in job.wants.items() if want[0] not in job.whole]
            job.ask_again = now + ANSWER_S
            return [fr.Fetch(tuple(wants[:_WANTS]))] if wants else []
        job.ask_again = None
        if job.expires is not None and now > job.expires:
            text = "the time in which applying had to begin is over"
            return self._end(job, fr.Phase.REJECTED, now, fr.Fault("deadline", text, True))
        job.stage = Stage.APPLYING
        return [ev.Apply(job.number, job.manifest, job.offer)]

    def _end(
        self,
        job: Job,
        phase: fr.Phase,
        now: float,
        fault: fr.Fault | None = None,
        event: ev.Progress | None = None,
    ) -> list[Step]:
        """Reports the last phase of the current job and begins with what the mailbox holds."""
        self.current, self.mailbox = self.mailbox, None
        version = job.offer.version
        if job.offer.scope == self._held.scope:
            if phase is fr.Phase.SERVING:
                self._base = (version.hash, job.manifest)
                self._held = replace(self._held, applied=version, serving=version, refused=None)
                self.refused_for, self.quarantine = None, fault
            else:
                self._held = replace(self._held, applied=self._held.serving)
                if fault and not fault.is_transient:
                    self._held = replace(self._held, refused=version)
                    self.refused_for = fault
        self._failed(fault, version)
        steps: list[Step] = [self._report(job.offer, phase, fault, event, job)]
        following = self.current
        if following is None:
            return steps
        if following.offer.version == self._held.serving:
            self.current = None
            return [*steps, self._report(following.offer, fr.Phase.SERVING, job=following)]
        return [*steps, ev.FindMissing(following.number, following.manifest)]

    def _report(
        self,
        offer: fr.Offer,
        phase: fr.Phase,
        fault: fr.Fault | None = None,
        event: ev.Progress | None = None,
        job: Job | None = None,
    ) -> fr.Report:
        of_this_session = job is None or job.fence == self.fence
        return fr.Report(
            nonce=offer.nonce if of_this_session else 0,
            scope=offer.scope,
            version=offer.version,
            phase=phase,
            held=self.held,
            warnings=event.warnings if event else (),
            fault=fault,
            effective_hash=event.effective_hash if event else "",
        )


class RefusedError(Exception):
    """An offer that is not what the master signed, or that cannot be read."""

    def __init__(self, code: str, text: str, is_transient: bool) -> None:
        super().__init__(text)
        self.fault = fr.Fault(code, text, is_transient)


def read_offer(keys: tuple[bytes, ...], base: Base | None, offer: fr.Offer) -> mf.Manifest:
    """Returns the manifest that is offered; `base` is what differences are against. Raises
    RefusedError if it is not what the master signed."""
    try:
        if offer.base:
            if base is None or base[0] != offer.base:
                raise RefusedError(BASE, "the base of the changes is unknown here", True)
            manifest = mf.patched(base[1], offer.manifest)
            text = manifest.canonical()
        else:
            manifest, text = mf.parse(offer.manifest), offer.manifest
    except Invalid as error:
        raise RefusedError("manifest", str(error), bool(offer.base)) from None
    if mf.address(text) != offer.version.hash:
        raise RefusedError(HASH, "the manifest has another hash than its offer says", True)
    if not manifest_is_signed(keys, text, offer.signature):
        raise RefusedError("signature", "no key of the master signed this manifest", False)
    if (manifest.scope, manifest.revision) != (offer.scope, offer.version.revision):
        raise RefusedError("manifest", "the manifest is of another scope or revision", False)
    return manifest
