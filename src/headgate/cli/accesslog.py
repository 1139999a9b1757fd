"""Reads requests back from the files of access logs."""

import math
from functools import partial
from pathlib import Path

from headgate.cli.reading import answered
from headgate.compile.logged import Logged, read
from headgate.providers.file.disk import DiskFiles


def read_file(path: Path, base: str | None = None) -> Logged:
    """Returns the requests of a log file as `compile.logged.read` does.

    Raises `OSError`, `UnansweredError`.
    """
    files = DiskFiles()
    lines = (line.decode(errors="replace") for line in files.lines(path))
    return answered(files, partial(read, lines, base), load_s=math.inf)
