"""Resolves endpoints' names before a render, and keeps the addresses for when DNS is away.

A release names addresses, so that nginx starts with nothing but the disk.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

import msgspec

Resolve = Callable[[str], tuple[str, ...]]

FILE: Final = "addresses.json"
_ASK_S: Final = 5.0
_AT_ONCE: Final = 16


def resolve(name: str) -> tuple[str, ...]:
    """Returns the system's addresses of a name, sorted, IPv6 in brackets; empty
    without an answer.
    """
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    addresses = {str(one[4][0]) for one in found}
    return tuple(sorted(f"[{one}]" if ":" in one else one for one in addresses))


class Pins:
    """The last good addresses of names, in a file below `root`: those of the plan that is served,
    and of what was asked since.
    """

    def __init__(self, root: Path, ask: Resolve = resolve) -> None:
        self._path = root / FILE
        self._ask = ask
        self._keeping = threading.Lock()
        self._seen: Mapping[str, tuple[str, ...]] = {}

    def asked(self, names: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """Returns what these names resolve to now, or did last, without names that never did.

        Waits 5 s at most for answers. Raises OSError when it cannot keep a change.
        """
        found = self.found(names)
        if found:
            with self._keeping:
                self._keep({**self._known(), **found})
        return found

    def found(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Returns the same and keeps nothing."""
        wanted = sorted(set(names))
        if not wanted:
            return {}
        known = self._known()
        return {**{name: known[name] for name in wanted if name in known}, **self._answers(wanted)}

    def served(self, addresses: Mapping[str, tuple[str, ...]]) -> None:
        """Forgets all names but those of the plan that is served. Raises OSError."""
        with self._keeping:
            self._keep({name: one for name, one in self._known().items() if name in addresses})

    def have_moved(self, served: Mapping[str, tuple[str, ...]]) -> bool:
        """Reports whether names have other addresses than those that are served.

        Only once the same answer came twice in a row: some names answer with a few of many
        addresses in turn, and every reload costs a generation of workers. Waits 5 s at most.
        """
        if not served:
            return False
        before, self._seen = self._seen, {**served, **self._answers(sorted(served))}
        return self._seen != served and self._seen == before

    def _keep(self, found: dict[str, tuple[str, ...]]) -> None:
        if found == self._known():
            return
        fresh = self._path.with_name(f".{FILE}.{os.getpid()}")
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
        fresh.replace(self._path)

    def _answers(self, names: list[str]) -> dict[str, tuple[str, ...]]:
        pool = ThreadPoolExecutor(min(_AT_ONCE, len(names)))
        asked = {pool.submit(self._ask, name): name for name in names}
        done, _ = wait(asked, _ASK_S)
        pool.shutdown(wait=False, cancel_futures=True)
        return {asked[one]: one.result() for one in asked if one in done and one.result()}

    def _known(self) -> dict[str, tuple[str, ...]]:
        with contextlib.suppress(OSError, ValueError):
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, tuple[str, ...]])
        return {}
