"""Holds the manifest of a release: what was written, and what later checks compare with."""

import hashlib
from collections.abc import Mapping

import msgspec

from headgate.engines.nginx.common.types import Rendered, RenderedFile, ServedName

READ_ONLY = 0o440
_OF_ENDPOINTS = ("upstreams.conf", "stream.conf", "generation.conf")
"""The files that differ between releases of one plan with other endpoints."""


class FileEntry(msgspec.Struct, frozen=True):
    """A file of a release: path relative to it, sha256 (hex) of its bytes, size, mode on disk."""

    path: str
    sha256: str
    size: int
    mode: int


class Manifest(msgspec.Struct, frozen=True):
    """The description of a release: `digest` is over the files alone, `plan_digest` names the plan.

    `created` is in seconds since the epoch. `listeners`, `zones`, `served_names` are as in
    `Rendered`: checks compare the next release with them.
    """

    generation: int
    digest: str
    plan_digest: str
    created: float
    files: tuple[FileEntry, ...]
    listeners: tuple[str, ...] = ()
    zones: Mapping[str, str] = {}
    served_names: tuple[ServedName, ...] = ()

    @classmethod
    def of(
        cls, rendered: Rendered, generation: int, plan_digest: str, created: float
    ) -> "Manifest":
        """Returns the manifest of a release with these files;
        the order of `rendered.files` does not matter.
        """
        files = tuple(sorted(map(_entry, rendered.files), key=lambda one: one.path))
        return cls(
            generation=generation,
            digest=digest_of(files),
            plan_digest=plan_digest,
            created=created,
            files=files,
            listeners=rendered.listeners,
            zones=dict(rendered.zones),
            served_names=rendered.served_names,
        )

    def is_same_config(self, other: "Manifest") -> bool:
        """Reports whether two releases are of one plan and differ in endpoints alone."""
        rest, others = (
            [one for one in of.files if one.path not in _OF_ENDPOINTS] for of in (self, other)
        )
        return bool(self.plan_digest) and self.plan_digest == other.plan_digest and rest == others

    def is_consistent(self) -> bool:
        """Reports whether the digest is that of the list of files: an edited manifest is not."""
        return self.digest == digest_of(self.files)


def digest_of(files: tuple[FileEntry, ...]) -> str:
    """Returns the sha256 (hex) of paths, modes and digests of files."""
    text = "".join(f"{one.sha256} {one.mode:o} {one.path}\0" for one in files)
    return hashlib.sha256(text.encode()).hexdigest()


def encode(manifest: Manifest) -> bytes:
    """Returns deterministic JSON with indentation: people read it too."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1) + b"\n"


def line(manifest: Manifest) -> bytes:
    """Returns the manifest as one line with its end."""
    return msgspec.json.encode(manifest, order="sorted") + b"\n"


def decode(data: bytes) -> Manifest:
    """Reads what `encode` or `line` wrote;
    raises `msgspec.MsgspecError` (a ValueError) for anything else.
    """
    return msgspec.json.decode(data, type=Manifest)


def _entry(file: RenderedFile) -> FileEntry:
    digest = hashlib.sha256(file.content).hexdigest()
    return FileEntry(file.path, digest, len(file.content), file.mode & READ_ONLY)
