"""Keeps on disk what checks concluded of endpoints, for a process that starts anew.

nginx goes on without those that fail. What is older than a minute says nothing any more.
"""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from headgate.engines.nginx.checks.answer import Failure

FILE: Final = "health.json"
_FRESH_S: Final = 60.0

Known = Mapping[tuple[str, str], Failure | None]
"""The failure for which an endpoint is down, None = it is up, by upstream and address."""


class _Kept(msgspec.Struct, frozen=True):
    upstream: str
    address: str
    failure: Failure | None


class KnownHealth:
    """The file below `root`, the folder of the releases. `clock`: Unix seconds."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = root / FILE
        self._clock = clock
        self._written: Known | None = None

    def read(self) -> dict[tuple[str, str], Failure | None]:
        """Returns what was known a short time ago; nothing where that cannot be read."""
        try:
            age_s = self._clock() - self._path.stat().st_mtime
            if not 0 <= age_s <= _FRESH_S:
                return {}
            kept = msgspec.json.decode(self._path.read_bytes(), type=list[_Kept])
        except (OSError, ValueError):
            return {}
        return {(one.upstream, one.address): one.failure for one in kept}

    def write(self, known: Known) -> None:
        """Keeps what is known now, as of now. A disk that is full or away costs only this."""
        now = self._clock()
        with contextlib.suppress(OSError):
            if not known:
                self._path.unlink(missing_ok=True)
            elif known == self._written:
                os.utime(self._path, (now, now))
            else:
                fresh = self._path.with_name(f".{FILE}.{os.getpid()}")
                every = [_Kept(*at, known[at]) for at in sorted(known)]
                fresh.write_bytes(msgspec.json.format(msgspec.json.encode(every)))
                os.utime(fresh, (now, now))
                fresh.replace(self._path)
            self._written = dict(known)
