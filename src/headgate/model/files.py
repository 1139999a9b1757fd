"""Defines the port to read documents and what they refer to."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Protocol


class Files(Protocol):
    """Files as the config sees them; tests give files in memory."""

    def read(self, path: PurePath) -> bytes:
        """Returns the whole content. Raises `OSError` (its `strerror` is shown to the user)."""
        ...

    def glob(self, pattern: PurePath) -> Sequence[PurePath]:
        """Returns existing files that match, sorted;
        a path without wildcards matches itself or nothing.

        `*`, `?` and `[…]` count in the last component only; hidden files match only a pattern that
        begins with a dot. Raises `OSError` for a directory that cannot be listed.
        """
        ...

    def is_public(self, path: PurePath) -> bool:
        """Reports whether every user of the host may read the file,
        as its mode says. Raises `OSError`.
        """
        ...

    def is_directory(self, path: PurePath) -> bool:
        """Reports whether it is a directory that can be listed."""
        ...
