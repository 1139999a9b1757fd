"""Keeps the access log for the metrics within its bound."""

import contextlib
from pathlib import Path
from typing import Final

from headgate.engines.nginx.common.types import Instance, RightMissingError
from headgate.engines.nginx.instance import SeveralMastersError

MOST_BYTES: Final = 64 * 1024 * 1024


def rotate(log: Path, instance: Instance, most_bytes: int = MOST_BYTES) -> bool:
    """Renames a log that has grown too large
    and has nginx open a new one; returns whether it did.

    One old file stays, `access.log.1`: readers of the log still read it to its end. Without the
    right to signal nginx, or where several may be it, the log keeps its name and grows: a renamed
    file would grow as well. Raises OSError, with the log under its name.
    """
    old = log.with_name(f"{log.name}.1")
    try:
        if log.stat().st_size <= most_bytes:
            return False
        log.rename(old)
    except FileNotFoundError:
        return False
    try:
        _reopened(instance, log, old)
    except (ProcessLookupError, RightMissingError, SeveralMastersError):
        return False
    return True


def _reopened(instance: Instance, log: Path, old: Path) -> None:
    try:
        instance.signal("USR1")
    except BaseException:
        with contextlib.suppress(OSError):
            old.rename(log)
        raise
