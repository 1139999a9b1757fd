"""Files in memory, for tests of what reads a config."""

import errno
import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePath


class MemoryFiles:
    """A `Files` port over a dict of path → content; change `content` to change a file."""

    def __init__(self, content: Mapping[str, str | bytes]) -> None:
        self.content: dict[str, str | bytes] = dict(content)
        self.unreadable: set[str] = set()
        self.public: set[str] = set()
        self.reads: list[str] = []

    def read(self, path: PurePath) -> bytes:
        """The whole content; counts as a read."""
        name = str(path)
        self.reads.append(name)
        if name in self.unreadable:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        if name not in self.content:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        content = self.content[name]
        return content.encode() if isinstance(content, str) else content

    def glob(self, pattern: PurePath) -> Sequence[PurePath]:
        """Files whose name matches in the pattern's directory."""
        names = (PurePath(name) for name in self.content)
        return sorted(
            name
            for name in names
            if name.parent == pattern.parent and fnmatchcase(name.name, pattern.name)
        )

    def is_public(self, path: PurePath) -> bool:
        """Whether a test said so."""
        return str(path) in self.public

    def is_directory(self, path: PurePath) -> bool:
        """Whether some file is in it."""
        return any(PurePath(name).parent == path for name in self.content)
