"""Presents the model of an import as the only document of a config."""

import stat
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Final

NAME: Final = "imported.toml"


class ImportedDocument:
    """Reads the model from memory, under `NAME`, and the files that it names from the disk."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()

    def read(self, path: PurePath) -> bytes:
        """Returns a file's bytes; raises OSError."""
        return self._text if str(path) == NAME else Path(path).read_bytes()

    def glob(self, pattern: PurePath) -> Sequence[PurePath]:
        """Returns nothing: an import has no includes."""
        return ()

    def is_public(self, path: PurePath) -> bool:
        """Reports whether every user of the host may read the file; raises OSError."""
        return str(path) == NAME or bool(Path(path).stat().st_mode & stat.S_IROTH)

    def is_directory(self, path: PurePath) -> bool:
        """Reports whether it is a directory."""
        return Path(path).is_dir()
