"""LINT, TEST and PREFLIGHT of a release: collects the findings of all checks."""

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from headgate.engines.nginx.apply import lint, lint_files, preflight
from headgate.engines.nginx.apply.causes import Finding, findings_of
from headgate.engines.nginx.apply.conftree import Conf, DiskFiles, read_conf
from headgate.engines.nginx.common.types import Instance, RightMissingError
from headgate.engines.nginx.releases.names import ReleaseName
from headgate.engines.nginx.releases.store import Release
from headgate.kernel.collector import paused

_UPGRADE_S: Final = 0.5
_UPGRADE_POLL_S: Final = 0.05

_Stamps = dict[str, tuple[int, int, int]]
"""Device, inode and time of the last change (nanoseconds) of files and folders, by path."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of PREFLIGHT for a release. `folders` must be there for nginx to write in."""

    draining_cap: int = preflight.DRAINING_CAP
    folders: tuple[Path, ...] = ()


class Checks:
    """The checks of one instance. `entry`: the main file where that is not the release's own."""

    def __init__(
        self,
        instance: Instance,
        limits: Limits,
        *,
        entry: str | None = None,
        resolve: lint.Resolve = lint.resolves,
        permits: Callable[[str], bool] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`permits` says which files `load_module` may name; None = all."""
        self._permits = permits
        self._instance = instance
        self._limits = limits
        self._entry = entry
        self._resolve = resolve
        self._clock = clock
        self._read: dict[ReleaseName, tuple[Conf, _Stamps]] = {}

    def lint(self, release: Release, running: Release | None) -> tuple[Finding, ...]:
        """Returns what is wrong in a release's files, or clashes with the running one.

        It does not read the running one again unless a file of it changed since its own lint:
        somebody may have edited and reloaded it. With a foreign entry it reads everything, since
        somebody may have reloaded the other files.
        """
        known = running.name if running is not None and self._entry is None else None
        self._read = {
            name: (conf, stamps)
            for name, (conf, stamps) in self._read.items()
            if running is not None and name == known and stamps == _stamps(running.path)
        }
        conf = self.conf(release)
        structure = tuple(lint.structure(conf))
        if structure:
            return structure
        return tuple(self._lint(conf, release, running))

    def conf(self, release: Release) -> Conf:
        """Returns the whole config as it is once this release is `current`; read once per LINT."""
        if (known := self._read.get(release.name)) is not None:
            return known[0]
        entry, files = release.conf, DiskFiles()
        if self._entry is not None:
            current = release.path.parent.parent / "current"
            entry, files = Path(self._entry), DiskFiles(str(current), str(release.path))
        stamps = _stamps(release.path)
        with paused():
            conf = read_conf(entry, files)
        self._read[release.name] = conf, stamps
        return conf

    def test(self, release: Release) -> tuple[Finding, ...]:
        """Returns what nginx itself says of it (`nginx -t`); warnings are findings too.

        A foreign entry is tested as it is on disk, once `current` is the release.
        """
        tested = self._instance.test(self._entry or str(release.conf))
        problems = self.explain(tested.problems, release)
        warnings = self.explain(tested.warnings, release)
        if not tested.ok and not problems:
            problems = (Finding("nginx", "nginx -t failed without a word"),)
        return (*problems, *(replace(one, is_error=False) for one in warnings))

    def preflight(self, release: Release, running: Release | None) -> tuple[Finding, ...]:
        """Returns what keeps the host from serving it now."""
        if self.is_upgrading():
            return (preflight.upgrading(),)
        known: Collection[str] = ()
        if running is not None and self._instance.master() is not None:
            known = frozenset(running.manifest.listeners)
        new = [one for one in release.manifest.listeners if one not in known]
        return (
            *preflight.folders(self._limits.folders),
            *preflight.ports(self._instance, new),
            *preflight.draining(self._instance, self._limits.draining_cap),
            *preflight.memory(self._instance),
        )

    def is_upgrading(self) -> bool:
        """Reports whether a binary upgrade is under way.

        A worker that was just forked looks like a second master until it has its own title: only
        what stays is one.
        """
        end = time.monotonic() + _UPGRADE_S
        while self._instance.is_upgrading():
            if time.monotonic() >= end:
                return True
            time.sleep(_UPGRADE_POLL_S)
        return False

    def explain(self, lines: tuple[str, ...], release: Release) -> tuple[Finding, ...]:
        """Returns nginx's lines as findings with places in the release."""

        def read(path: str) -> str | None:
            try:
                return (release.path / path).read_text(errors="replace")
            except OSError:
                return None

        roots = (str(release.path), str(release.path.parent.parent / "current"))
        return findings_of(lines, roots, read)

    def _lint(self, conf: Conf, release: Release, running: Release | None) -> Iterator[Finding]:
        told = release.manifest.zones
        by = running.manifest.zones if running is not None else {}
        before = self.conf(running) if running is not None else None
        if self._permits is not None:
            yield from lint.modules(conf, self._permits)
        yield from lint.duplicate_names(conf)
        yield from lint.zones(conf, before, told, by)
        yield from lint.worker_start(conf)
        yield from lint_files.certificates(conf, self._clock())
        yield from lint_files.variable_certificates(conf, self._keeps)
        yield from lint_files.password_files(conf, self._keeps)
        yield from lint.hosts(conf, self._resolve)
        if running is not None:
            yield from _listeners(release, running)

    def _keeps(self, path: str) -> str | None:
        try:
            return self._instance.kept_from_workers(path)
        except RightMissingError:
            return None  # not readable for us; VERIFY shows it


def _stamps(folder: Path) -> _Stamps:
    """Returns what differs after any change of a file below a folder;
    it costs a stat(2) for each and reads nothing.
    """
    paths = (f"{at}/{name}" for at, _, names in os.walk(folder) for name in ("", *names))
    found: _Stamps = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            about = os.lstat(path)
            found[path] = about.st_dev, about.st_ino, about.st_ctime_ns
    return found


def _listeners(release: Release, running: Release) -> Iterator[Finding]:
    """Yields a warning for listeners that go: nginx refuses their clients from then on."""
    stay = frozenset(release.manifest.listeners)
    gone = [one for one in running.manifest.listeners if one not in stay]
    if gone:
        text = f"no longer listens on {', '.join(gone)}"
        yield Finding("listener_gone", text, is_error=False)
