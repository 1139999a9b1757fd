"""The variant of a revision for one node, where nodes have their own values: kept when it is
published, and made for a node that comes later, in the way that was published."""

import asyncio
import json
from contextlib import suppress
from typing import Final

from headgate.master.api.problems import Fault, ProblemError
from headgate.master.domains.agents.store import AgentRow
from headgate.master.domains.resources.validation import verdict
from headgate.master.domains.revisions import service, store
from headgate.master.domains.revisions.types import NodeManifest, SignedManifest
from headgate.master.domains.templates.node_values import Node, Variant, variants
from headgate.master.domains.templates.recipes import decoded
from headgate.master.ids import Clock
from headgate.master.store.database import Database
from headgate.master.store.errors import TakenError
from headgate.master.store.scope import Scope
from headgate.master.store.sealing import Sealer

_SAID: Final = 3


class NoVariantError(Exception):
    """A node cannot get a revision; the text says what is missing or wrong."""


class Variants:
    """The manifests of nodes."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def of(self, signed: SignedManifest, agent: AgentRow) -> NodeManifest:
        """Returns what an agent gets of a revision that has recipes; raises NoVariantError, and
        what the database raises."""
        scope = Scope(agent.organisation_id, agent.workspace_id)
        async with self._database.read(scope) as tx:
            found = await store.node_manifest(tx, signed.id, agent.id)
            if found is not None:
                return found
            contents = await service.contents_of(tx, signed, self._sealer)
        node = Node(agent.id, agent.name, json.loads(agent.labels))
        variant = await self._made(signed, contents, node)
        with suppress(TakenError):  # another session of it was quicker, at another master perhaps
            await self._database.write(
                scope,
                lambda tx: service.keep_for(tx, signed, variant, self._sealer, self._clock()),
            )
        async with self._database.read(scope) as tx:
            found = await store.node_manifest(tx, signed.id, agent.id)
        if found is None:
            raise NoVariantError("the revision was removed meanwhile")
        return found

    async def _made(
        self, signed: SignedManifest, contents: dict[str, bytes], node: Node
    ) -> Variant:
        try:
            found, gaps = variants(contents, decoded(signed.recipes), [node])
        except ProblemError as error:
            raise NoVariantError(error.detail) from error
        if gaps:
            raise NoVariantError(_text(gaps))
        said = await asyncio.to_thread(verdict, found[0].contents)
        if said.errors:
            raise NoVariantError(_text(said.errors))
        return found[0]


def _text(faults: list[Fault]) -> str:
    said = [f"{one.path}: {one.detail}; {one.allowed}" for one in faults[:_SAID]]
    more = f" (and {len(faults) - _SAID} more)" if len(faults) > _SAID else ""
    return " | ".join(said) + more
