"""The encrypted file of a backup: a sequence of records, under a key made of a passphrase.

Each record is sealed with AES-256-GCM, bound to its place and to the head of the file, and the last
one is marked (the STREAM construction, Hoang et al. 2015): a file that was changed, cut off or put
together anew does not open.
"""

import struct
from collections.abc import Iterator
from typing import IO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from headgate.master.store.errors import StartError

MAGIC: Final = b"headgate backup 1\n"
MOST_RECORD: Final = 256 << 20
LEAST_PASSPHRASE: Final = 12
"""Shorter passphrases are guessed, whatever the key is made with."""

_KEY_BYTES = 32
_SALT_BYTES = 16
_COST = 1 << 17
_BLOCK = 8
_LENGTH = struct.Struct(">I")
_NONCE = struct.Struct(">QI")
_LAST: Final = 1 << 31
"""In the count of a nonce: no record follows."""


def checked_passphrase(passphrase: str, where: str) -> bytes:
    """Returns the passphrase as bytes; raises StartError for one that is too short."""
    if len(passphrase) < LEAST_PASSPHRASE:
        raise StartError(
            f"{where} is too short for a passphrase; write {LEAST_PASSPHRASE} characters or more"
        )
    return passphrase.encode()


class Writer:
    """Writes records into a file; `close` marks the end, without which it does not open."""

    def __init__(self, file: IO[bytes], passphrase: bytes, salt: bytes) -> None:
        """`salt`: 16 random bytes."""
        self._file = file
        self._head = MAGIC + salt
        self._cipher = AESGCM(_key(passphrase, salt))
        self._count = 0
        file.write(self._head)

    def write(self, record: bytes) -> None:
        """Adds a record."""
        self._write(record, 0)

    def close(self) -> None:
        """Marks the end."""
        self._write(b"", _LAST)

    def _write(self, plain: bytes, mark: int) -> None:
        nonce = _NONCE.pack(self._count, mark)
        sealed = self._cipher.encrypt(nonce, plain, self._head)
        self._file.write(_LENGTH.pack(len(sealed) | mark) + sealed)
        self._count += 1


def records(file: IO[bytes], passphrase: bytes) -> Iterator[bytes]:
    """Yields the records of a file; raises StartError unless it is whole, and as it was written."""
    head = file.read(len(MAGIC) + _SALT_BYTES)
    if not head.startswith(MAGIC) or len(head) != len(MAGIC) + _SALT_BYTES:
        raise StartError("this is no backup of a master; name a file of `headgate master backup`")
    cipher = AESGCM(_key(passphrase, head[len(MAGIC) :]))
    count = 0
    while True:
        prefix = file.read(_LENGTH.size)
        if len(prefix) != _LENGTH.size:
            raise _damaged()
        (length,) = _LENGTH.unpack(prefix)
        mark, length = length & _LAST, length & ~_LAST
        sealed = file.read(length) if length <= MOST_RECORD else b""
        try:
            plain = cipher.decrypt(_NONCE.pack(count, mark), sealed, head)
        except InvalidTag:
            raise _wrong_key() if count == 0 else _damaged() from None
        if mark:
            return
        yield plain
        count += 1


def _key(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=_KEY_BYTES, n=_COST, r=_BLOCK, p=1).derive(passphrase)


def _damaged() -> StartError:
    return StartError("the backup is damaged or cut off; use another one")


def _wrong_key() -> StartError:
    return StartError(
        "the backup does not open with this passphrase; give the one that it was made with"
    )
