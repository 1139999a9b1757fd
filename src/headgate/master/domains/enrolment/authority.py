"""The fleet's certificate authority: made once, sealed in the database, shared by all masters.

One master at a time changes which authorities there are, under a lease. All of them issue, in
transactions that keep the authorities as they are until they end.
"""

import asyncio
import datetime as dt
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Final

import structlog

from headgate.certificates.authority import create, key_pem, load, pin
from headgate.certificates.rotation import Authorities
from headgate.fleet.signing import Bind
from headgate.master.domains.enrolment import store
from headgate.master.domains.enrolment.sealing import sealing
from headgate.master.domains.enrolment.store import AuthorityRow, Lock
from headgate.master.domains.revisions.service import opened
from headgate.master.domains.revisions.signing import add_key, public_keys, signing_key
from headgate.master.domains.revisions.types import Blob
from headgate.master.ids import Clock
from headgate.master.store.database import Database
from headgate.master.store.errors import StartError, StoreUnavailableError
from headgate.master.store.leases import Lease, Leases, LostLeaseError, held, require
from headgate.master.store.scope import MASTER
from headgate.master.store.sealing import Sealer, key_name_of
from headgate.master.store.transaction import Transaction

CONTEXT: Final = "key of a certificate authority"
FOLLOWED_S: Final = 2.0
"""The time within which a master knows what another one did."""
LEASE: Final = "authorities"
LEASE_MS: Final = 15_000
_AGAIN_S: Final = 0.2
_TRIES: Final = 100
"""Together longer than the lease of a master that died when it had it."""
_NAME: Final = "headgate fleet"
_log = structlog.get_logger()


class FleetAuthority:
    """The authorities of all fleets of a master, and the keys that sign manifests."""

    def __init__(
        self, database: Database, sealer: Sealer, clock: Clock, leases: Leases, holder: str
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._leases = leases
        self._holder = holder
        self._authorities: Authorities | None = None
        self._rows: tuple[tuple[str, bool], ...] = ()
        self._sealed_by = ""
        self.pins: frozenset[str] = frozenset()
        """Of every authority that is trusted."""
        self.issuing = ""
        """The pin of the one that issues."""
        self.shows_in_rest = False
        """True if the REST API shows a certificate of it: then join tokens carry its pin."""

    def now(self) -> dt.datetime:
        """Returns the time."""
        return dt.datetime.fromtimestamp(self._clock() / 1_000, dt.UTC)

    async def authorities(self) -> Authorities:
        """Returns the authorities; the first call of the first master makes one."""
        return self._authorities or await self.refresh()

    @property
    def current(self) -> Authorities:
        """The authorities as they were read last; handshakes ask, from any thread."""
        if self._authorities is None:
            raise RuntimeError("the authorities were not read yet")
        return self._authorities

    @property
    def is_rotating(self) -> bool:
        """True if one authority takes over from another."""
        return self._authorities is not None and self._authorities.stage != "steady"

    async def refresh(self) -> Authorities:
        """Reads the authorities again, which any master on the database may have changed."""
        if self._authorities is None:
            await self._begin()
        async with self._database.read(MASTER) as tx:
            return self._adopted(await store.listed(tx))

    async def kept(self, tx: Transaction) -> Authorities:
        """Returns the authorities as they are, and stay until `tx` ends: what it issues counts."""
        return self._adopted(await store.listed(tx, Lock.SHARED))

    def alone(self) -> AbstractAsyncContextManager[Lease]:
        """Gives the lease under which the authorities change; raises LostLeaseError."""
        return held(self._leases, LEASE, self._holder, LEASE_MS)

    def _adopted(self, rows: Sequence[AuthorityRow]) -> Authorities:
        if rows:
            self._follow_key(rows[-1].sealed)
        seen = tuple((row.id, row.is_issuing) for row in rows)
        if self._authorities is None or seen != self._rows:
            found = self.read(rows)
            self._rows = seen
            self.pins = frozenset(pin(one.certificate) for one in found.listed)
            self.issuing = pin(found.issuer.certificate)
            self._authorities = found
        return self._authorities

    def _follow_key(self, sealed: str) -> None:
        """Has this master seal with the key that another one wrapped everything with."""
        self._sealer.follow(key_name_of(sealed))
        if self._sealed_by != (name := key_name_of(sealed)):
            self._sealed_by = name
            if not self._sealer.has_key_of(sealed):
                _log.error("this master lacks the key that seals secrets", key=name)

    async def follow(self) -> None:
        """Keeps up with what other masters on the database do, until it is cancelled."""
        while True:
            await asyncio.sleep(FOLLOWED_S)
            try:
                await self.refresh()
            except StoreUnavailableError as error:
                _log.warning("the fleet's authorities wait for the database", reason=str(error))
            except Exception:  # such as one under a key that this master lacks: it may get it yet
                _log.exception("the fleet's authorities cannot be read")

    def read(self, rows: Sequence[AuthorityRow]) -> Authorities:
        """Returns the authorities of their rows."""
        listed = tuple(
            load(row.certificate.encode(), self._sealer.open(row.sealed, CONTEXT)) for row in rows
        )
        return Authorities(listed, max(n for n, row in enumerate(rows) if row.is_issuing))

    async def made(self, tx: Transaction, number: int, *, is_issuing: bool) -> AuthorityRow:
        """Returns the row of a new authority, the `number`th of this master."""
        seal = await sealing(tx, self._sealer)
        one = create(_NAME, self.now())
        return AuthorityRow(
            id=f"ca-{number:04d}",
            certificate=one.pem.decode(),
            sealed=seal(key_pem(one.key), CONTEXT),
            is_issuing=is_issuing,
            created_at=self._clock(),
        )

    async def pin(self) -> str:
        """Returns what join tokens carry; empty if the REST API shows another certificate."""
        if not self.shows_in_rest:
            return ""
        return pin((await self.authorities()).issuer.certificate)

    async def bind(self, tx: Transaction) -> Bind:
        """Returns what binds offers to agents and sessions."""
        return (await signing_key(tx, self._sealer)).sign

    def opened(self, blob: Blob) -> bytes:
        """Returns a content of revisions."""
        return opened(blob, self._sealer)

    async def _begin(self) -> None:
        """Makes the first authority and the key of manifests, or waits for the master that does;
        raises StartError."""
        for _ in range(_TRIES):
            async with self._database.read(MASTER) as tx:
                if await store.listed(tx) and await public_keys(tx):
                    return
            with suppress(LostLeaseError):
                async with self.alone() as lease:
                    await self._database.write(MASTER, partial(self.make_first, lease=lease))
                    continue
            await asyncio.sleep(_AGAIN_S)
        raise StartError(
            "another master makes the fleet's authority, and does not end; stop it, and try again"
        )

    async def make_first(self, tx: Transaction, lease: Lease) -> None:
        """Makes the first authority and the key of manifests if they are missing; raises
        LostLeaseError."""
        await require(tx, lease)
        if not await store.listed(tx):
            await store.insert(tx, await self.made(tx, 1, is_issuing=True))
        if not await public_keys(tx):
            await add_key(tx, self._sealer, self._clock())
