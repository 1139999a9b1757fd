"""The model of an import as the one document of a config."""

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Final

NAME: Final = "imported.toml"


class ImportedDocument:
    """Reads the model from memory, under `NAME`, and the files that it names from the disk."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()

    def read(self, path: PurePath) -> bytes:
        """A file's bytes; raises OSError."""
        return self._text if str(path) == NAME else Path(path).read_bytes()

    def glob(self, pattern: PurePath) -> Sequence[PurePath]:
        """An import includes nothing."""
        return ()

    def is_directory(self, path: PurePath) -> bool:
        """Whether it is a directory."""
        return Path(path).is_dir()
