"""Applies what a master offered: from the contents on disk to a revision that serves, or back."""

import asyncio
from collections.abc import Callable
from typing import Final

from headgate.fleet.agent_events import Apply, Progress
from headgate.fleet.agent_work import QUARANTINED
from headgate.fleet.frames import Fault, Phase
from headgate.fleet.manifest import resource_of
from headgate.kernel.diagnostics import Diagnostic, Severity
from headgate.node.agent.source import MasterSource
from headgate.node.pipeline import Pipeline
from headgate.node.ports import Candidate
from headgate.node.results import Outcome, ReloadResult
from headgate.providers.master.bundle import Bundle, DamagedBundleError
from headgate.providers.master.incoming import Incoming
from headgate.providers.master.store import BundleStore

_MOST_WARNINGS: Final = 50


class Applying:
    """Brings the node to offered bundles, one at a time."""

    def __init__(
        self, pipeline: Pipeline, source: MasterSource, store: BundleStore, incoming: Incoming
    ) -> None:
        self._pipeline = pipeline
        self._source = source
        self._store = store
        self._incoming = incoming
        self.is_busy = False
        self._applied: Callable[[Candidate], None] = _ignore

    def applied(self, candidate: Candidate) -> None:
        """Takes a config that is in place, before it is proven to serve."""
        self._applied(candidate)

    async def apply(self, command: Apply, said: Callable[[Progress], None]) -> None:
        """Serves the bundle of a command, or leaves everything as it was; says each phase."""
        self.is_busy = True
        try:
            await self._apply(command, said)
        finally:
            self.is_busy = False
            self._pipeline.on_validated = self._applied = _ignore

    async def _apply(self, command: Apply, said: Callable[[Progress], None]) -> None:
        job = command.job
        try:
            bundle = await asyncio.to_thread(self._staged, command)
        except DamagedBundleError as error:
            said(Progress(job, Phase.REJECTED, fault=Fault("content", str(error), True)))
            return
        except OSError as error:
            why = f"the bundle cannot be written: {error.strerror or error}"
            said(Progress(job, Phase.REJECTED, fault=Fault("disk", why, True)))
            return

        def validated(candidate: Candidate) -> None:
            warnings = _texts(candidate.warnings)
            self._pipeline.on_validated = _ignore
            self._applied = applied
            said(Progress(job, Phase.VALIDATED, warnings, effective_hash=_digest(candidate)))

        def applied(candidate: Candidate) -> None:
            said(Progress(job, Phase.APPLIED, effective_hash=_digest(candidate)))

        self._source.offer(bundle)
        self._pipeline.on_validated = validated
        try:
            result = await self._pipeline.reload(f"revision {bundle.revision}")
        except asyncio.CancelledError:
            self._source.withdraw()  # the next session is offered it again
            raise
        if result.is_ok:
            warnings = (*_texts(result.diagnostics), *await self._kept(bundle))
            fault = quarantine_fault(self._pipeline.served, result)
            said(Progress(job, Phase.SERVING, warnings, fault, effective_hash=result.digest))
            return
        self._source.withdraw()
        await asyncio.to_thread(self._store.discard)
        phase = Phase.ROLLED_BACK if result.is_undone else Phase.REJECTED
        warnings = _texts(result.diagnostics)
        said(Progress(job, phase, warnings, fault_of(result), effective_hash=result.digest))

    def _staged(self, command: Apply) -> Bundle:
        raw = command.manifest.canonical()
        entries = command.manifest.entries
        content = {**self._store.content(), **self._incoming.content(entries)}
        return self._store.stage(raw, command.offer.signature, content)

    async def _kept(self, bundle: Bundle) -> tuple[str, ...]:
        """Makes a bundle that serves the last good one; returns what went wrong with that."""
        try:
            await asyncio.to_thread(self._source.keep, bundle)
            await asyncio.to_thread(self._incoming.clear)
        except OSError as error:
            why = error.strerror or str(error)
            return (f"the bundle is not kept ({why}); a restart serves the revision before",)
        return ()


def quarantine_fault(served: Candidate | None, result: ReloadResult) -> Fault | None:
    """Returns how many objects are not served as written, with the first of them, for a revision
    that serves all the same; None if all are.
    """
    if served is None or not served.quarantined:
        return None
    said = (one for one in result.diagnostics if "quarantined" in one.message)
    first = next(said, Diagnostic(file="", message="see the node's status"))
    return Fault(
        QUARANTINED,
        f"serving with {len(served.quarantined)} quarantined: {first}",
        object=_object(first),
        file=first.file,
        line=first.line,
    )


def fault_of(result: ReloadResult) -> Fault:
    """Returns why a run did not serve what it found: its first error, with the object."""
    is_transient = result.is_passing or result.outcome is Outcome.FAILED
    errors = [one for one in result.diagnostics if one.severity is Severity.ERROR]
    if not errors:
        return Fault("engine", result.error or "the config was not served", is_transient)
    first = errors[0]
    return Fault(
        code="engine" if result.is_undone else "config",
        text=str(first),
        is_transient=is_transient,
        object=_object(first),
        file=first.file,
        line=first.line,
    )


def _object(diagnostic: Diagnostic) -> str:
    """Returns the resource that a diagnostic is about, `routes/api`; empty if it is of the node."""
    of = resource_of(diagnostic.file)
    return "/".join(of) if of is not None else ""


def _texts(diagnostics: tuple[Diagnostic, ...]) -> tuple[str, ...]:
    return tuple(map(str, diagnostics[:_MOST_WARNINGS]))


def _digest(candidate: Candidate) -> str:
    return candidate.plan.digest.hex()


def _ignore(_candidate: Candidate) -> None:
    return
