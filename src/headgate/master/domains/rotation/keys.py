"""The rotation of the master's key: a new first key in its file, and every secret wrapped with it,
in one transaction. What was interrupted goes on where it stood: both keys are in the file until
nothing needs the old one.
"""

from pathlib import Path
from typing import Final, NamedTuple

from pydantic import BaseModel
from sqlalchemy import Table, update

from headgate.master.api.problems import ProblemError
from headgate.master.domains.enrolment import authority
from headgate.master.domains.enrolment.store import AUTHORITIES
from headgate.master.domains.revisions import service as revisions
from headgate.master.domains.revisions import signing
from headgate.master.domains.revisions.store import BLOBS, MANIFEST_KEYS
from headgate.master.domains.rotation.types import KeyStatus, OneKey
from headgate.master.domains.secrets import service as secrets
from headgate.master.domains.secrets.store import SECRETS
from headgate.master.domains.sessions import keys
from headgate.master.domains.sessions.store import SIGNING_KEYS
from headgate.master.store.errors import StartError
from headgate.master.store.leases import Lease, require
from headgate.master.store.sealing import (
    Sealer,
    forget_older_keys,
    key_name_of,
    new_key_file,
    read_keys,
)
from headgate.master.store.transaction import Transaction, columns_of

LEASE: Final = "master key"
LEASE_MS: Final = 60_000
_AT_ONCE: Final = 200


class Sealed(NamedTuple):
    """A table with sealed secrets, in its column `sealed`, and what they were sealed as."""

    table: Table
    context: str


SEALED: Final = (
    Sealed(AUTHORITIES, authority.CONTEXT),
    Sealed(BLOBS, revisions.BLOB_CONTEXT),
    Sealed(MANIFEST_KEYS, signing.CONTEXT),
    Sealed(SECRETS, secrets.CONTEXT),
    Sealed(SIGNING_KEYS, keys.CONTEXT),
)
"""Every table with sealed secrets."""


class _Row(BaseModel):
    id: str
    sealed: str


async def status(tx: Transaction, sealer: Sealer) -> KeyStatus:
    """Returns how many secrets each key has sealed."""
    counts = dict.fromkeys(sealer.names, 0)
    unknown = 0
    for one in SEALED:
        after = ""
        while rows := await _following(tx, one.table, after):
            for row in rows:
                name = key_name_of(row.sealed)
                if name in counts:
                    counts[name] += 1
                else:
                    unknown += 1
            after = rows[-1].id
    return KeyStatus(
        keys=[
            OneKey(name=name, is_first=number == 0, secrets=counts[name])
            for number, name in enumerate(counts)
        ],
        unknown=unknown,
        is_rotated=not unknown and not any(list(counts.values())[1:]),
    )


async def rewrap(tx: Transaction, sealer: Sealer, key: str, lease: Lease) -> KeyStatus:
    """Wraps every secret with the key of that name; raises ProblemError (409) if one has no key
    here, and LostLeaseError: two rotations at once could each remove the key that the other needs.

    The authorities come first: who seals keeps them as they are (`enrolment.sealing`), so nothing
    is under way any more once they are wrapped.
    """
    await require(tx, lease)
    for one in SEALED:
        after = ""
        while rows := await _following(tx, one.table, after):
            for row in rows:
                if key_name_of(row.sealed) != key:
                    await _rewrap(tx, one, row, sealer, key)
            after = rows[-1].id
    return await status(tx, sealer)


async def _rewrap(tx: Transaction, one: Sealed, row: _Row, sealer: Sealer, key: str) -> None:
    if not sealer.has_key_of(row.sealed):
        raise ProblemError(
            409,
            "key-missing",
            f"a secret of {one.table.name} was sealed with a key that this master has not; add it"
            " to the key file, and try again",
        )
    sealed = sealer.rewrapped(row.sealed, one.context, key)
    changed = update(one.table).where(one.table.c.id == row.id, one.table.c.sealed == row.sealed)
    await tx.as_master().change(changed.values(sealed=sealed))


async def _following(tx: Transaction, table: Table, after: str) -> list[_Row]:
    query = columns_of(table, _Row).where(table.c.id > after, table.c.sealed.is_not(None))
    return await tx.as_master().all(_Row, query.order_by(table.c.id).limit(_AT_ONCE))


def begin(file: Path | None, sealer: Sealer, before: KeyStatus, *, makes_key: bool) -> str:
    """Gives the sealer the key that is to be the first, and returns its name: one that is new in
    the file already, or one that is made now. Raises ProblemError (409) where nobody may make one.
    """
    if file is not None:
        try:
            sealer.adopt(read_keys(file))
        except StartError as error:
            raise ProblemError(409, "key-file", str(error)) from error
    newer = sealer.names[0] != before.keys[0].name or not before.is_rotated
    if newer:
        return sealer.names[0]  # it goes on, or the operator has put the key there
    if file is None or not makes_key:
        raise ProblemError(
            409,
            "no-new-key",
            "the master has no newer key; put one first in HEADGATE_MASTER_KEY, or in the key file"
            " of every master on this database, and try again",
        )
    new_key_file(file, file.read_text())
    sealer.adopt(read_keys(file))
    return sealer.names[0]


def finish(file: Path | None, sealer: Sealer, after: KeyStatus, *, forgets: bool) -> None:
    """Removes the old keys from the file, once they seal nothing."""
    if file is not None and forgets and after.is_rotated:
        forget_older_keys(file)
        sealer.adopt(read_keys(file))
