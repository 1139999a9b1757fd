"""Keeps the access log for the metrics within its bound."""

import contextlib
from pathlib import Path
from typing import Final

from headgate.engines.nginx.common.types import Instance, RightMissingError

MOST_BYTES: Final = 64 * 1024 * 1024


def rotate(log: Path, instance: Instance, most_bytes: int = MOST_BYTES) -> bool:
    """Renames a log that has grown too large
    and has nginx open a new one; returns whether it did.

    One old file stays, `access.log.1`: readers of the log still read it to its end. Without the
    right to signal nginx it lets the log grow: a renamed file would grow as well.
    """
    try:
        if log.stat().st_size <= most_bytes:
            return False
    except FileNotFoundError:
        return False
    old = log.with_name(f"{log.name}.1")
    log.rename(old)
    try:
        instance.signal("USR1")
    except (ProcessLookupError, RightMissingError):
        with contextlib.suppress(OSError):
            old.rename(log)
        return False
    return True
