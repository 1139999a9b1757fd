"""Looks at a running nginx at one moment: the config it runs with, its files, its binary.

Reads only. At the first look and after each reload it assumes that nginx runs the files on disk: it
cannot recognise an edit that waits for its reload by then.
"""

import contextlib
import hashlib
import os
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from headgate.engines.nginx.drift import Binary, Desired, baseline
from headgate.engines.nginx.instance.procfs import Procfs
from headgate.engines.nginx.observe.masters import Running
from headgate.engines.nginx.watch.adoption import Adoption, adopt
from headgate.engines.status import CertificateStatus
from headgate.engines.types import EndpointStatus, UpstreamStatus
from headgate.nginxtext.includes import Tree, load

_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Sight:
    """One look. `desired` is the reference for drift, by paths of ours; `binary` a digest."""

    adoption: Adoption
    desired: Desired
    texts: dict[str, bytes]
    binary: str | None

    @property
    def running(self) -> Running:
        """Its master."""
        return self.adoption.running

    def binary_now(self) -> Binary | None:
        """Returns the binary on disk and the running one; None where either is unreadable."""
        now = _digest(self.running.root / self.running.binary.lstrip("/"))
        return Binary(now, self.binary) if now and self.binary else None

    def follows_same_logs(self, other: "Sight") -> bool:
        """Reports whether the log readers of one can continue for the other."""
        return _logs(self.adoption) == _logs(other.adoption)

    def upstreams(self) -> list[UpstreamStatus]:
        """Returns the upstreams of its config with the counts of its access logs."""
        backends = self.adoption.meter.observer.traffic.backends
        found: dict[str, list[EndpointStatus]] = {}
        for one in self.adoption.picture.upstreams:
            for text in one.endpoints:
                address = text.split()[0]
                seen = backends.get(f"{one.name}/{address}") or backends.get(address)
                counts = (seen.requests, seen.failures) if seen is not None else (0, 0)
                status = EndpointStatus(address, [address], "up", 0, 0, *counts, "")
                found.setdefault(one.name, []).append(status)
        return [UpstreamStatus(name, endpoints) for name, endpoints in sorted(found.items())]


def look_at(running: Running) -> Sight:
    """Looks at an nginx; its TLS listeners get a handshake. Some seconds for thousands of sites.

    Raises OSError.
    """
    adoption = adopt(running)
    tree = load(running.conf, running.files)
    places = {str(running.files.resolve(path)): path for path in adoption.facts.files}
    # Somebody may replace a link or its target. Below another root links are resolved.
    targets = map(os.path.realpath, places) if running.root == Path("/") else ()
    paths = dict.fromkeys([*places, *targets])
    texts = {
        place: document.to_bytes()
        for place, path in places.items()
        if (document := tree.documents.get(path)) is not None
    }
    folders = [str(running.files.resolve(one)) for one in _included_folders(tree)]
    desired = baseline(tuple(paths), tuple(one for one in folders if Path(one).is_dir()))
    executable = Procfs().executable(running.master.pid)
    return Sight(adoption, desired, texts, _digest(executable))


def certificate_statuses(adoption: Adoption) -> tuple[CertificateStatus, ...]:
    """Returns the certificates that a config names, each with what is wrong with it."""
    problems: dict[str, list[str]] = {}
    for finding in adoption.certificate_findings:
        problems.setdefault(finding.path, []).append(f"{finding.code}: {finding.message}")
    return tuple(
        CertificateStatus(
            path=one.file.path,
            names=one.file.leaf.names if one.file.leaf else (),
            not_after=one.file.leaf.not_after_s if one.file.leaf else 0.0,
            problems=tuple(problems.get(one.file.path, ())),
            issuer=one.file.leaf.issuer if one.file.leaf else "",
            sha256=one.file.leaf.sha256 if one.file.leaf else "",
        )
        for one in adoption.certificates
    )


def changed(old: Desired, new: Desired) -> list[str]:
    """Returns the files in which two looks differ, sorted."""
    paths = {*old.files, *new.files}
    edits = {path for path in paths if old.files.get(path) != new.files.get(path)}
    links = {*old.links, *new.links}
    edits |= {path for path in links if old.links.get(path) != new.links.get(path)}
    return sorted(edits)


def _included_folders(tree: Tree) -> Iterator[str]:
    """Yields folders whose new files the next reload reads: those of `include` with a pattern."""
    folder = posixpath.dirname(tree.entry)
    for value in tree.targets:
        path = posixpath.join(folder, value.decode(errors="surrogateescape"))
        parts = path.split("/")
        wild = next((at for at, part in enumerate(parts) if _WILD & set(part)), 0)
        if wild:
            yield "/".join(parts[:wild]) or "/"


def _logs(adoption: Adoption) -> tuple[object, ...]:
    sources = adoption.meter.observer.sources
    facts = adoption.facts
    paths: Iterable[str] = (one.path for one in sources.access_logs)
    names = tuple((one.name, one.endpoints) for one in adoption.picture.upstreams)
    return tuple(paths), tuple(sources.error_logs), facts.access_logs, names


def _digest(path: Path) -> str | None:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None
