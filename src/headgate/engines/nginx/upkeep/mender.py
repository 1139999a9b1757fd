"""Gives drift its reference, and heals it, for one driven nginx."""

import time
from collections.abc import Callable

from headgate.engines.nginx.apply.hold import HOLD
from headgate.engines.nginx.apply.results import Rejected
from headgate.engines.nginx.common.types import Process, RightMissingError
from headgate.engines.nginx.drift import Artefact, Binary, Desired, Finding, Running, Seen
from headgate.engines.nginx.drift.disk import release_desired
from headgate.engines.nginx.drive.engine import NginxEngine
from headgate.engines.nginx.instance import SeveralMastersError
from headgate.engines.nginx.releases.lock import is_locked, locked
from headgate.engines.nginx.releases.names import ReleaseName
from headgate.engines.nginx.releases.objects import DamagedObjectError
from headgate.engines.nginx.releases.store import UnknownReleaseError

_LEVEL = {True: "warn", False: "info"}
_HIDDEN = (RightMissingError, SeveralMastersError)
"""The errors of a master that cannot be told; the keeper reports them."""


class HealError(Exception):
    """A heal failed; says why."""


class Mender:
    """The world and the acts of a `DriftWatch`. What it does blocks."""

    def __init__(
        self, engine: NginxEngine, tell: Callable[[str, str, str, dict[str, str]], None]
    ) -> None:
        self.finding: Finding | None = None
        self.seen = Seen()
        self.heals = 0
        self.heals_failed = 0
        self.alarm_text = ""
        self._engine = engine
        self._tell = tell
        self._known: tuple[ReleaseName, Desired] | None = None
        self._workers: frozenset[Process] = frozenset()
        self._doubted: frozenset[Process] = frozenset()
        self.remember_workers()
        engine.is_doubted = self._is_doubted

    def remember_workers(self) -> None:
        """Takes the present workers for ours: another set later is a foreign reload."""
        self._workers, self._doubted = self._alive(), frozenset()

    def desired(self) -> Desired | None:
        """Returns the release that was last verified; None before the first.

        Raises OSError when its pristine copy is gone or damaged: drift is unknown then.
        """
        name = self._engine.store.linked("known_good")
        if name is None:
            return None
        if self._known is None or self._known[0] != name:
            try:
                self._known = name, release_desired(self._engine.store, name)
            except (UnknownReleaseError, DamagedObjectError) as error:
                raise OSError(str(error)) from error
        return self._known[1]

    def running(self) -> Running | None:
        """Returns the generation that answers, and whether all workers differ from those of our
        apply; None as well where several masters may be it, and while workers change by an apply.
        """
        try:
            if self._engine.instance.master() is None or self.is_applying():
                return None
        except _HIDDEN:
            return None
        generation = self._engine.running()
        name = self._engine.store.linked("known_good")
        is_ours = name is not None and generation == name.generation
        return Running(generation, self._was_reloaded(self._alive(), name, is_ours=is_ours))

    def _was_reloaded(
        self, alive: frozenset[Process], name: ReleaseName | None, *, is_ours: bool
    ) -> bool:
        """Reports whether none of our workers is left. A foreign reload of the wanted release is
        forgiven; one while its files were edited is not: an edit has the same generation.
        """
        is_replaced = bool(self._workers) and bool(alive) and not alive & self._workers
        if alive & self._doubted or (is_replaced and not self._is_untouched(name)):
            self._doubted = alive
            return True
        if is_replaced and is_ours:
            self._workers, self._doubted = alive, frozenset()
            return False
        return is_replaced

    def _is_untouched(self, name: ReleaseName | None) -> bool:
        """Reports whether a release is as it was staged, now and at the last look."""
        store = self._engine.store
        if name is None or (self.finding is not None and self.finding.edits):
            return False
        try:
            return store.linked("current") == name and not store.verify(name)
        except UnknownReleaseError:
            return False

    def _is_doubted(self) -> bool:
        """Reports whether nginx may serve what somebody edited, whatever is on disk now."""
        return bool(self._doubted and self._alive() & self._doubted)

    def binary(self) -> Binary | None:
        """Returns the binary on disk and the probed one; None before a probe."""
        probed = self._engine.probed_digest
        if probed is None:
            return None
        try:
            return Binary(self._engine.instance.binary_digest(), probed)
        except (OSError, *_HIDDEN):
            return None

    def is_applying(self) -> bool:
        """Reports whether a process holds the lock of applies."""
        return is_locked(self._engine.root)

    def original(self, path: str) -> bytes | None:
        """Returns what a file of the wanted release should hold;
        raises OSError as `desired` does.
        """
        name = self._engine.store.linked("known_good")
        if name is None:
            return None
        folder = f"releases/{name}/"
        try:
            files = self._engine.store.read(name).files
        except (UnknownReleaseError, DamagedObjectError) as error:
            raise OSError(str(error)) from error
        for file in files:
            if path == folder + file.path:
                return file.content
        return None

    def report(self, finding: Finding) -> None:
        """Reports a finding that differs from the one before."""
        self.seen.saw(finding, time.time())
        self.finding = finding
        self._tell(_LEVEL[finding.is_drift], "nginx.drift", finding.text(), {})

    def heal(self, finding: Finding, artefact: Artefact) -> None:
        """Puts the wanted release back; raises HealError, BusyError or OSError."""
        try:
            self._heal(finding)
        except Exception:
            self.heals_failed += 1
            raise
        self.heals += 1
        message = f"generation {finding.generation} was put back; the edit is kept"
        self._tell("warn", "nginx.healed", message, {"kept": artefact.folder})

    def _heal(self, finding: Finding) -> None:
        engine = self._engine
        name = engine.store.linked("known_good")
        if name is None or name.generation != finding.generation:
            raise HealError(f"generation {finding.generation} is not wanted any more")
        engine.instance.master()  # raises where it cannot be told: nothing is healed halfway
        with locked(engine.root):
            if engine.store.linked("known_good") != name:
                raise HealError("another release was applied meanwhile")
            engine.store.restore(name)
            engine.store.link("current", name)
        if engine.instance.master() is None:
            return
        # Whoever edited a file may have reloaded at any moment since.
        self._doubted = self._alive()
        result = engine.applier.heal(name)
        if isinstance(result, Rejected):
            self._doubted |= self._alive()
            raise HealError(result.text())
        self.remember_workers()

    def reprobe(self) -> None:
        """Probes the new binary; the next apply renders for it."""
        self._engine.forget_capabilities()
        self._tell("info", "nginx.binary_changed", "the nginx binary is another one", {})

    def alarm(self, text: str | None) -> None:
        """Raises an alarm, or ends it; ignores the same one again."""
        is_news = text != self.alarm_text
        self.alarm_text = text or ""
        if text is not None and is_news:
            self._tell("error", "nginx.alarm", text, {"hold": HOLD})

    def _alive(self) -> frozenset[Process]:
        """Returns the workers that go on; none where it cannot be told which these are."""
        try:
            workers = self._engine.instance.workers()
        except _HIDDEN:
            return frozenset()
        return frozenset(one for one in workers if not one.shutting_down)
