"""The manifests that agents are offered, read once for all of them: of a revision, or of a node's
own part of one."""

import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, NamedTuple, TypeAlias

from headgate.fleet.manifest import parse
from headgate.fleet.signing import Bind
from headgate.master.domains.agents.store import AgentRow
from headgate.master.domains.enrolment.authority import FleetAuthority
from headgate.master.domains.revisions import store as revisions
from headgate.master.domains.revisions.types import NodeManifest, SignedManifest
from headgate.master.fleet.book import UnavailableError
from headgate.master.once import Once
from headgate.master.store.database import Database
from headgate.master.store.errors import StoreUnavailableError
from headgate.master.store.scope import MASTER

_MANIFESTS: Final = 64
_OF_NODES: Final = 1_024

VariantOf: TypeAlias = Callable[[SignedManifest, AgentRow], Awaitable[NodeManifest]]


class Listed(NamedTuple):
    """A manifest, the hashes that it names, and what binds its offers; one object for everyone."""

    revision: SignedManifest
    hash: str
    manifest: bytes
    signature: bytes
    named: frozenset[str]
    bind: Bind


class Manifests:
    """Those that were read lately. Belongs to one event loop."""

    def __init__(self, database: Database, authority: FleetAuthority) -> None:
        self._database = database
        self._authority = authority
        self._known: OrderedDict[str, Listed] = OrderedDict()
        self._reading: Once[Listed] = Once()
        self._of_nodes: OrderedDict[tuple[str, str], Listed] = OrderedDict()
        self.variant: VariantOf = _no_variant
        """Returns what an agent gets of a revision whose nodes have values of their own."""

    def published(self, revision_id: str) -> SignedManifest | None:
        """Returns a revision, if it was read lately."""
        found = self._known.get(revision_id)
        return None if found is None else found.revision

    async def of(self, agent: AgentRow, revision_id: str) -> Listed:
        """Returns what an agent is to get of a revision; raises UnavailableError and
        NoVariantError."""
        found = self._known.get(revision_id)
        if found is None:
            found = await self._reading.do(revision_id, lambda: self._read(revision_id))
        if found.revision.recipes is None:
            return found
        key = (revision_id, agent.id)
        own = self._of_nodes.get(key)
        if own is None:
            with explained():
                variant = await self.variant(found.revision, agent)
            named = _named(variant.manifest)
            own = Listed(
                found.revision,
                variant.hash,
                variant.manifest,
                variant.signature,
                named,
                found.bind,
            )
            self._of_nodes[key] = own
            if len(self._of_nodes) > _OF_NODES:
                self._of_nodes.popitem(last=False)
        return own

    async def _read(self, revision_id: str) -> Listed:
        with explained():
            async with self._database.read(MASTER) as tx:
                signed = await revisions.manifest(tx, revision_id)
                bind = await self._authority.bind(tx)
        if signed is None:
            raise UnavailableError(f"the revision {revision_id} is not in the database")
        named = _named(signed.manifest)
        found = Listed(signed, signed.hash, signed.manifest, signed.signature, named, bind)
        self._known[revision_id] = found
        if len(self._known) > _MANIFESTS:
            self._known.popitem(last=False)
        return found


def _named(manifest: bytes) -> frozenset[str]:
    return frozenset(entry.sha256 for entry in parse(manifest).entries)


async def _no_variant(signed: SignedManifest, agent: AgentRow) -> NodeManifest:
    raise UnavailableError(f"nobody makes {signed.id} for {agent.id}")


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Says it in the port's words if the database is away."""
    try:
        yield
    except StoreUnavailableError as error:
        raise UnavailableError(str(error)) from error
