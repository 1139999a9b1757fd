"""Reads files as a process with another root sees them.

It follows links below that root, also absolute ones, which would lead plain paths through
`/proc/PID/root` out of it.
"""

import errno
import glob as globbing
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headgate.nginxtext.globs import WILDCARDS, for_python

FILE_BYTES: Final = 16 * 1024 * 1024
"""The most it reads of a file; a config or a certificate is not larger."""

_LINKS: Final = 40


@dataclass(frozen=True, slots=True)
class RootedFiles:
    """The files below `root`, a path of ours; implements `nginxtext.includes.Files`."""

    root: Path = Path("/")

    def read(self, path: str) -> bytes:
        """Returns a regular file's bytes; raises OSError, also for a pipe or over 16 MiB."""
        place = self.resolve(path)
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file", path)
            if found.st_size > FILE_BYTES:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
            return file.read(FILE_BYTES)

    def glob(self, pattern: str) -> list[str]:
        """Returns files by a pattern of glob(3), sorted by their bytes; empty if none match."""
        parts = for_python(pattern).split("/")
        first = next((i for i, part in enumerate(parts) if WILDCARDS & set(part)), len(parts) - 1)
        folder = "/".join(parts[:first])
        rest = "/".join(parts[first:])
        try:
            place = self.resolve(folder or "/")
        except OSError:
            return []
        names = globbing.glob(rest, root_dir=place)  # noqa: PTH207 - as glob(3) has it
        return sorted((f"{folder}/{name}" for name in names), key=os.fsencode)

    def resolve(self, path: str) -> Path:
        """Returns the path of ours without links below the root; raises OSError for a loop."""
        if self.root == Path("/"):
            return Path(path)
        pending = [part for part in path.split("/") if part not in ("", ".")][::-1]
        here: list[str] = []
        links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                here = here[:-1]
                continue
            at = self.root.joinpath(*here, part)
            if not at.is_symlink():
                here.append(part)
                continue
            links += 1
            if links > _LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = str(at.readlink())
            here = [] if target.startswith("/") else here
            pending += [step for step in target.split("/") if step not in ("", ".")][::-1]
        return self.root.joinpath(*here)
