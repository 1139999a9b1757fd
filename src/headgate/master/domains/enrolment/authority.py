"""The fleet's certificate authority: made once, sealed in the database, shared by all masters."""

import datetime as dt
from contextlib import suppress
from typing import Final

from headgate.certificates.authority import create, key_pem, load, pin
from headgate.certificates.rotation import Authorities
from headgate.fleet.signing import Bind
from headgate.master.domains.enrolment import store
from headgate.master.domains.enrolment.store import AuthorityRow
from headgate.master.domains.revisions.service import opened
from headgate.master.domains.revisions.signing import public_keys, signing_key
from headgate.master.domains.revisions.types import Blob
from headgate.master.ids import Clock
from headgate.master.store.database import Database
from headgate.master.store.errors import TakenError
from headgate.master.store.scope import MASTER
from headgate.master.store.sealing import Sealer
from headgate.master.store.transaction import Transaction

CONTEXT: Final = "key of a certificate authority"
# One id, so that of two masters that start at once only one makes it.
_FIRST: Final = "ca-0001"
_NAME: Final = "headgate fleet"


class FleetAuthority:
    """The authorities of all fleets of a master, and the keys that sign manifests."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._authorities: Authorities | None = None
        self.shows_in_rest = False
        """Whether the REST API shows a certificate of it: then join tokens carry its pin."""

    def now(self) -> dt.datetime:
        """Returns the time."""
        return dt.datetime.fromtimestamp(self._clock() / 1_000, dt.UTC)

    async def authorities(self) -> Authorities:
        """Returns the authorities; the first call of the first master makes one."""
        if self._authorities is None:
            self._authorities = await self._loaded()
        return self._authorities

    async def pin(self) -> str:
        """Returns what join tokens carry; empty if the REST API shows another certificate."""
        if not self.shows_in_rest:
            return ""
        return pin((await self.authorities()).issuer.certificate)

    async def manifest_keys(self, tx: Transaction) -> tuple[bytes, ...]:
        """Returns the raw public keys that sign manifests; `tx` must write."""
        return await public_keys(tx, self._sealer, self._clock())

    async def bind(self, tx: Transaction) -> Bind:
        """Returns what binds offers to agents and sessions; a revision has been signed before."""
        return (await signing_key(tx, self._sealer, self._clock())).sign

    def opened(self, blob: Blob) -> bytes:
        """Returns a content of revisions."""
        return opened(blob, self._sealer)

    async def _loaded(self) -> Authorities:
        async with self._database.read(MASTER) as tx:
            rows = await store.listed(tx)
        if not rows:
            with suppress(TakenError):  # another master was quicker
                await self._database.write(MASTER, self._make)
            async with self._database.read(MASTER) as tx:
                rows = await store.listed(tx)
        listed = tuple(
            load(row.certificate.encode(), self._sealer.open(row.sealed, CONTEXT)) for row in rows
        )
        return Authorities(listed, max(n for n, row in enumerate(rows) if row.is_issuing))

    async def _make(self, tx: Transaction) -> None:
        one = create(_NAME, self.now())
        row = AuthorityRow(
            id=_FIRST,
            certificate=one.pem.decode(),
            sealed=self._sealer.seal(key_pem(one.key), CONTEXT),
            is_issuing=True,
            created_at=self._clock(),
        )
        await store.insert(tx, row)
