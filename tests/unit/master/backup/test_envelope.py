"""The file of a backup: one that was made earlier opens, with the work that its key takes."""

import base64
import io

import pytest

from headgate.master.backup.envelope import Writer, records
from headgate.master.store.errors import StartError

PASSPHRASE = b"a long passphrase"
SALT = bytes(range(16))
MADE = base64.b64decode(
    "aGVhZGdhdGUgYmFja3VwIDEKAAECAwQFBgcICQoLDA0ODwAAABVy0Y+Py2UNR4MqfV2gX6NR7Dgj+ZYAAAAQRgRnjlUK"
    "fKreqlfkq3Zex4AAABDjPWe9QAi6m9YyfaCSetdX"
)
"""The records `first` and one without bytes, under scrypt with N = 2^17, r = 8 and p = 1: a backup
must open years later, and a passphrase must stay dear to guess."""


def test_a_backup_is_written_and_opens_as_ever() -> None:
    file = io.BytesIO()
    writer = Writer(file, PASSPHRASE, SALT)
    for record in (b"first", b""):
        writer.write(record)
    writer.close()
    assert file.getvalue() == MADE
    assert [*records(io.BytesIO(MADE), PASSPHRASE)] == [b"first", b""]


def test_another_passphrase_opens_nothing() -> None:
    with pytest.raises(StartError, match="does not open with this passphrase"):
        next(records(io.BytesIO(MADE), b"another passphrase"))
