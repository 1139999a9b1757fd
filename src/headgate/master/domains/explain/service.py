"""The rules of explanations: which config an agent is asked with, and what may be shown of it."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from headgate._core import PlanError
from headgate.compile.answers import answer
from headgate.compile.explanation import places
from headgate.compile.routing import Question, Routing
from headgate.compile.veil import veiled
from headgate.kernel.errors import Invalid
from headgate.master.api.problems import ProblemError, invalid
from headgate.master.domains.agents import service as agents
from headgate.master.domains.explain.types import Explained, ExplainRequest
from headgate.master.domains.resources.validation import loaded_from
from headgate.master.domains.revisions import nodes, store
from headgate.master.domains.revisions import service as revisions
from headgate.master.store.sealing import Sealer
from headgate.master.store.transaction import Transaction


class Asked(NamedTuple):
    """An agent, and the config that is asked about; `revision` is None for resources."""

    agent: str
    name: str
    revision: int | None
    contents: Mapping[str, bytes]


async def asked(
    tx: Transaction, agent_id: str, wanted: ExplainRequest, sealer: Sealer, now_ms: int
) -> Asked:
    """Returns what is asked about; raises ProblemError."""
    row = await agents.found(tx, agent_id)
    if wanted.config == "resources":
        found = await nodes.wanted(tx, row, sealer, now_ms)
        return Asked(row.id, row.name, None, found.contents)
    number = row.shown(now_ms).revisions.serving
    signed = None if number is None else await store.numbered(tx, row.fleet, number)
    if signed is None:
        raise ProblemError(
            409,
            "unknown",
            "nobody knows what this agent serves; ask for `resources`, what it would get now",
        )
    contents = await revisions.contents_of(tx, await revisions.part(tx, signed, row.id), sealer)
    return Asked(row.id, row.name, number, contents)


def explained(one: Asked, wanted: ExplainRequest) -> Explained:
    """Returns the explanation; costs a compilation. Raises ProblemError."""
    loaded = loaded_from(one.contents)
    question = msgspec.convert(wanted.model_dump(exclude={"config"}), Question)
    if loaded.plan is None:
        raise ProblemError(
            409,
            "invalid-config",
            "this config has errors, which a preview names; nothing is served",
        )
    try:
        routing = Routing(loaded.plan, loaded.secrets, loaded.blobs)
        found = veiled(answer(routing, question, places(loaded)), loaded.plan, loaded.secrets)
    except PlanError as error:
        raise ProblemError(
            409, "invalid-config", f"the core refuses this config: {error}"
        ) from None
    except Invalid as error:
        raise invalid("$", error.what, error.allowed) from None
    except ValueError as error:
        raise invalid("$", str(error)) from None
    return Explained(
        agent=one.agent,
        name=one.name,
        revision=one.revision,
        explanation=msgspec.to_builtins(found),
    )
