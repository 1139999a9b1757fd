"""Shows a bundle to the compiler as documents: one resource each, named by its path. Pure.

Relative paths are in the bundle, absolute ones on this machine, where only the node's own documents
may reach: a resource cannot name them (`Trust.QUARANTINE`).
"""

import errno
from collections.abc import Sequence
from pathlib import PurePath

import msgspec

from headgate.compile.sources import Given, Trust
from headgate.fleet.manifest import NGINX_IMPORTS, resource_of
from headgate.model.files import Files
from headgate.providers.master.bundle import Bundle


def documents(bundle: Bundle) -> list[Given]:
    """Returns the documents of a bundle, in the order of its manifest; imports of nginx configs
    are no documents."""
    return [
        Given(PurePath(entry.path), Trust.QUARANTINE, PurePath())
        for entry in bundle.manifest.entries
        if (of := resource_of(entry.path)) is not None and of[0] != NGINX_IMPORTS
    ]


class BundleFiles:
    """The `Files` of a bundle, before those of this machine."""

    def __init__(self, bundle: Bundle, files: Files) -> None:
        self._content = {e.path: bundle.content[e.sha256] for e in bundle.manifest.entries}
        self._files = files

    def read(self, path: PurePath) -> bytes:
        """Returns the content; a resource's is the document that defines it. Raises OSError."""
        if path.is_absolute():
            return self._files.read(path)
        name = str(path)
        content = self._content.get(name)
        if content is None:
            raise FileNotFoundError(errno.ENOENT, "the bundle has no such file", name)
        of = resource_of(name)
        return content if of is None else _document(of, content)

    def glob(self, pattern: PurePath) -> Sequence[PurePath]:
        """Returns files of this machine that match; those of a bundle are named one by one."""
        return self._files.glob(pattern) if pattern.is_absolute() else []

    def is_public(self, path: PurePath) -> bool:
        """Reports whether every user of the host may read the file; none of a bundle."""
        return self._files.is_public(path) if path.is_absolute() else False

    def is_directory(self, path: PurePath) -> bool:
        """Reports whether it is a directory of this machine."""
        return path.is_absolute() and self._files.is_directory(path)


def _document(resource: tuple[str, str], content: bytes) -> bytes:
    """Returns the document of a resource.

    >>> _document(("routes", "api"), b'{"upstream":"api"}')
    b'{"routes":{"api":{"upstream":"api"}}}'
    """
    section, name = map(msgspec.json.encode, resource)
    return b"{" + section + b":{" + name + b":" + content + b"}}"
