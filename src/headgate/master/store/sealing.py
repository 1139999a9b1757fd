"""Envelope encryption of secrets at rest: each has a data key, which the master's key wraps.

The key comes from a file or the environment and never reaches the database. Rotation wraps the
data keys again, and leaves what they encrypt.
"""

import base64
import binascii
import contextlib
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
    """Seals with the first key, or with one that is named, and opens with any."""

    def __init__(self, keys: list[bytes], file: Path | None = None) -> None:
        """`file`: where the keys are from; it is read again for a key that is new there."""
        self.file = file
        self.adopt(keys)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the keys, in their order."""
        return tuple(self._keys)

    def adopt(self, keys: list[bytes]) -> None:
        """Takes other keys, the first of which seals from now on."""
        self._keys = {_name(key): key for key in keys}
        self._first = _name(keys[0])

    def follow(self, name: str) -> None:
        """Takes the keys in the order of the file if that one is the first there: a rotation by
        another master wrapped everything with it. Older keys go on opening."""
        if name == self._first or self.file is None:
            return
        with contextlib.suppress(StartError):
            keys = read_keys(self.file)
            if _name(keys[0]) == name:
                self._keys = {_name(key): key for key in keys} | self._keys
                self._first = name

    def seal(self, secret: bytes, context: str, key: str | None = None) -> str:
        """Returns the secret, encrypted; `context` says what it is, and opening needs the same.
        `key` names one that is here; None = the first."""
        name = key or self._first
        data_key = secrets.token_bytes(KEY_BYTES)
        return json.dumps(
            {
                "key": name,
                "wrapped": _encrypted(self._keys[name], data_key, context),
                "sealed": _encrypted(data_key, secret, context),
            }
        )

    def open(self, sealed: str, context: str) -> bytes:
        """Returns the secret; raises SealError."""
        try:
            parts = json.loads(sealed)
            data_key = _decrypted(self._key(parts["key"]), parts["wrapped"], context)
            return _decrypted(data_key, parts["sealed"], context)
        except (KeyError, ValueError, InvalidTag, binascii.Error) as error:
            raise SealError(f"{context} cannot be opened with the master's keys") from error

    def has_key_of(self, sealed: str) -> bool:
        """Says whether the key is here that the secret is sealed under."""
        try:
            return bool(self._key(key_name_of(sealed)))
        except KeyError:
            return False

    def rewrapped(self, sealed: str, context: str, key: str) -> str:
        """Returns the same secret under the key of that name; raises SealError."""
        try:
            parts = json.loads(sealed)
            data_key = _decrypted(self._key(parts["key"]), parts["wrapped"], context)
        except (KeyError, ValueError, InvalidTag, binascii.Error) as error:
            raise SealError(f"{context} cannot be opened with the master's keys") from error
        wrapped = _encrypted(self._keys[key], data_key, context)
        return json.dumps(parts | {"key": key, "wrapped": wrapped})

    def _key(self, name: str) -> bytes:
        """Returns a key, which another process may have put into the file; raises KeyError."""
        if name not in self._keys and self.file is not None:
            with contextlib.suppress(StartError):
                fresh = {_name(key): key for key in read_keys(self.file)}
                # Those that are here stay, in their order.
                self._keys = self._keys | fresh
        return self._keys[name]


def load_sealer(file: Path, given: str | None) -> Sealer:
    """Returns the sealer of the keys in the environment (`given`) or in the file.

    A file that does not exist is made with a new key, mode 0600; raises StartError.
    """
    if given is not None:
        return Sealer(_keys(given, VARIABLE))
    try:
        if not file.exists():
            new_key_file(file)
    except OSError as error:
        raise StartError(f"{file} cannot be written: {error}; {_ALLOWED}") from error
    return Sealer(read_keys(file), file)


def read_keys(file: Path) -> list[bytes]:
    """Returns the keys of a file, the newest first; raises StartError."""
    try:
        return _keys(file.read_text(), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"{file} cannot be read: {error}; {_ALLOWED}") from error


def key_name_of(sealed: str) -> str:
    """Returns the name of the key that a secret is sealed under; empty for what is no secret."""
    try:
        return str(json.loads(sealed)["key"])
    except (KeyError, ValueError, TypeError):
        return ""


def sealer_of(text: str, where: str) -> Sealer:
    """Returns the sealer of the keys in a text, one a line; raises StartError."""
    return Sealer(_keys(text, where))


def new_key_file(file: Path, older: str = "") -> None:
    """Writes a new key before the older ones; whole or not at all."""
    new = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    replace_file(file, f"{new}\n{older}".encode())


def forget_older_keys(file: Path) -> None:
    """Leaves the first key alone in the file; whole or not at all."""
    replace_file(file, f"{file.read_text().split()[0]}\n".encode())


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
