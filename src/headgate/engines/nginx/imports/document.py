"""Presents the model of an import as the only document of a config."""

import errno
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Final

NAME: Final = "imported.toml"


class ImportedDocument:
    """Reads the model from memory, under `NAME`, and the files that it names: those of the import
    (`files`) by relative paths, and by absolute ones those of the host, if `reads_host`."""

    def __init__(self, text: str, files: Mapping[str, bytes], *, reads_host: bool = True) -> None:
        self._files = {**files, NAME: text.encode()}
        self._reads_host = reads_host

    def read(self, path: PurePath) -> bytes:
        """Returns a file's bytes; raises OSError."""
        if path.is_absolute() and self._reads_host:
            return Path(path).read_bytes()
        found = self._files.get(str(path))
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "the import has no such file", str(path))
        return found

    def glob(self, pattern: PurePath) -> Sequence[PurePath]:
        """Returns nothing: an import has no includes."""
        return ()

    def is_public(self, path: PurePath) -> bool:
        """Reports whether every user of the host may read the file; raises OSError."""
        if not path.is_absolute() or not self._reads_host:
            return False
        return bool(Path(path).stat().st_mode & stat.S_IROTH)

    def is_directory(self, path: PurePath) -> bool:
        """Reports whether it is a directory."""
        return self._reads_host and path.is_absolute() and Path(path).is_dir()
