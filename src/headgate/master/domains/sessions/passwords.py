"""Passwords: argon2id, in threads, a few at a time; the others wait in a line that is bounded, so
that one address cannot have everybody wait."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from headgate.master.api.fairness import NoPlaceError, Places
from headgate.master.api.problems import ProblemError

SHORTEST: Final = 12
LONGEST: Final = 256
MOST_AT_HAND: Final = 64
"""Requests that hash a password or wait for it."""
MOST_OF_ADDRESS: Final = 16
"""Those of them from one address."""
_AT_ONCE = 2


class Hashing:
    """Hashes and compares passwords without holding up the loop. Who has it has a turn."""

    def __init__(self, hasher: PasswordHasher) -> None:
        self._hasher = hasher
        self._nobody: str | None = None

    async def hashed(self, password: str) -> str:
        """Returns what the database keeps."""
        return await asyncio.to_thread(self._hasher.hash, password)

    async def is_right(self, password: str, password_hash: str | None) -> bool:
        """Reports whether it is the password; takes as long if there is none to compare with."""
        return await asyncio.to_thread(self._compare, password, password_hash)

    def _compare(self, password: str, password_hash: str | None) -> bool:
        if password_hash is None:
            if self._nobody is None:
                self._nobody = self._hasher.hash("nobody's password")
            self._matches(password, self._nobody)
            return False
        return self._matches(password, password_hash)

    def _matches(self, password: str, password_hash: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (Argon2Error, InvalidHashError):
            return False


class Passwords:
    """The turns for hashing. Belongs to one event loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """The default costs 64 MiB and three passes (RFC 9106's second choice)."""
        self._hashing = Hashing(hasher or PasswordHasher())
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._line = Places(MOST_AT_HAND, MOST_OF_ADDRESS)

    @contextlib.asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[Hashing]:
        """Waits for a turn of a request from that address, and keeps it for the block; raises
        ProblemError (429) if too many wait already."""
        with contextlib.ExitStack() as place:
            try:
                place.enter_context(self._line.taken(address))
            except NoPlaceError:
                raise ProblemError(
                    429,
                    "throttled",
                    "too many passwords wait to be looked at; try again in a second",
                    headers={"retry-after": "1"},
                ) from None
            async with self._free:
                yield self._hashing
