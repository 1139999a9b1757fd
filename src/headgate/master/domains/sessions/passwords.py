"""Passwords: argon2id, in threads, a few at a time."""

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

SHORTEST: Final = 12
LONGEST: Final = 256
_AT_ONCE = 2


class Passwords:
    """Hashes and compares passwords without holding up the loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """The default costs 64 MiB and three passes (RFC 9106's second choice)."""
        self._hasher = hasher or PasswordHasher()
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._nobody: str | None = None

    async def hashed(self, password: str) -> str:
        """Returns what the database keeps."""
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def is_right(self, password: str, password_hash: str | None) -> bool:
        """Reports whether it is the password; takes as long if there is none to compare with."""
        async with self._turn:
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
