"""Envelope encryption of secrets at rest: each has a data key, which the master's key wraps.

The key comes from a file or the environment and never reaches the database. Rotation wraps the
data keys again, and leaves what they encrypt.
"""

import base64
import binascii
import hashlib
import json
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headgate.kernel.files import replace_file
from headgate.master.store.errors import StartError

VARIABLE: Final = "HEADGATE_MASTER_KEY"
KEY_FILE: Final = "master.key"
KEY_BYTES: Final = 32
_NONCE_BYTES = 12
_ALLOWED = "write 32 bytes in base64, one key a line, the newest first"


class SealError(Exception):
    """A sealed secret cannot be opened: another key sealed it, or it was changed."""


class Sealer:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: list[bytes]) -> None:
        self._keys = {_name(key): key for key in keys}
        self._first = _name(keys[0])

    def seal(self, secret: bytes, context: str) -> str:
        """Returns the secret, encrypted; `context` says what it is, and opening needs the same."""
        data_key = secrets.token_bytes(KEY_BYTES)
        return json.dumps(
            {
                "key": self._first,
                "wrapped": _encrypted(self._keys[self._first], data_key, context),
                "sealed": _encrypted(data_key, secret, context),
            }
        )

    def open(self, sealed: str, context: str) -> bytes:
        """Returns the secret; raises SealError."""
        try:
            parts = json.loads(sealed)
            data_key = _decrypted(self._keys[parts["key"]], parts["wrapped"], context)
            return _decrypted(data_key, parts["sealed"], context)
        except (KeyError, ValueError, InvalidTag, binascii.Error) as error:
            raise SealError(f"{context} cannot be opened with the master's keys") from error

    def has_key_of(self, sealed: str) -> bool:
        """Says whether the key is here that the secret is sealed under."""
        try:
            return json.loads(sealed)["key"] in self._keys
        except (KeyError, ValueError, TypeError):
            return False

    def rewrapped(self, sealed: str, context: str) -> str:
        """Returns the same secret under the first key; raises SealError."""
        try:
            parts = json.loads(sealed)
            data_key = _decrypted(self._keys[parts["key"]], parts["wrapped"], context)
        except (KeyError, ValueError, InvalidTag, binascii.Error) as error:
            raise SealError(f"{context} cannot be opened with the master's keys") from error
        wrapped = _encrypted(self._keys[self._first], data_key, context)
        return json.dumps(parts | {"key": self._first, "wrapped": wrapped})


def load_sealer(file: Path, given: str | None) -> Sealer:
    """Returns the sealer of the keys in the environment (`given`) or in the file.

    A file that does not exist is made with a new key, mode 0600; raises StartError.
    """
    if given is not None:
        return Sealer(_keys(given, VARIABLE))
    try:
        if not file.exists():
            new_key_file(file)
        return Sealer(_keys(file.read_text(), str(file)))
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"{file} cannot be read: {error}; {_ALLOWED}") from error


def sealer_of(text: str, where: str) -> Sealer:
    """Returns the sealer of the keys in a text, one a line; raises StartError."""
    return Sealer(_keys(text, where))


def new_key_file(file: Path, older: str = "") -> None:
    """Writes a new key before the older ones; whole or not at all."""
    new = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    replace_file(file, f"{new}\n{older}".encode())


def _keys(text: str, where: str) -> list[bytes]:
    try:
        keys = [base64.b64decode(line, validate=True) for line in text.split()]
    except ValueError:  # binascii's, too
        keys = []
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise StartError(f"{where} holds no key; {_ALLOWED}")
    return keys


def _name(key: bytes) -> str:
    return hashlib.sha256(b"headgate master key" + key).hexdigest()[:16]


def _encrypted(key: bytes, plain: bytes, context: str) -> str:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, plain, context.encode())
    return base64.b64encode(nonce + sealed).decode()


def _decrypted(key: bytes, sealed: str, context: str) -> bytes:
    raw = base64.b64decode(sealed, validate=True)
    return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], context.encode())
