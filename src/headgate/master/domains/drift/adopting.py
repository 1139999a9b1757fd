"""The rules by which an edit on an agent's disk becomes a proposal: a draft of which the agent is
the author. A person looks at it, and publishes or discards it; no machine publishes anything."""

import asyncio
import json
from dataclasses import dataclass
from typing import Final

from headgate.engines.nginx.imports.adopting import CannotAdoptError
from headgate.fleet.manifest import resource_path
from headgate.master.api.problems import ProblemError
from headgate.master.domains.agents import service as agents
from headgate.master.domains.agents.store import AGENTS, AgentRow
from headgate.master.domains.audit.store import Event, record
from headgate.master.domains.drafts import service as drafts
from headgate.master.domains.drafts import store as draft_rows
from headgate.master.domains.drafts.effects import Kind
from headgate.master.domains.drafts.types import Draft
from headgate.master.domains.drift import store
from headgate.master.domains.drift.proposing import Seen, proposed
from headgate.master.domains.drift.store import ProposalRow
from headgate.master.domains.drift.types import Proposal
from headgate.master.domains.events import store as events
from headgate.master.domains.events.types import News
from headgate.master.domains.resources import store as resources
from headgate.master.domains.resources.types import Change
from headgate.master.domains.resources.validation import Contents, import_of
from headgate.master.domains.revisions import service as revisions
from headgate.master.domains.revisions import store as revision_rows
from headgate.master.ids import new_id
from headgate.master.store.sealing import Sealer
from headgate.master.store.transaction import Transaction

MOST_OPEN: Final = 20
"""The most open proposals of the agents of a fleet: what a tool does to all nodes is one edit."""
_MOST_FILES: Final = 10


@dataclass(frozen=True, slots=True)
class Case:
    """An agent whose nginx drifts, and what was published to it."""

    agent: AgentRow
    digest: str
    revision: str
    contents: Contents
    seen: Seen


async def case(tx: Transaction, agent_id: str, sealer: Sealer) -> Case:
    """Returns what a proposal of an agent is made of; raises ProblemError, CannotAdoptError."""
    row = await agents.found(tx, agent_id)
    known, facts = row.known_drift, row.shown(0).facts
    engine = next((one for one in facts.engines if one.engine == "nginx"), None)
    if engine is None:
        raise CannotAdoptError("its engine has no files that drift")
    digest = await store.digest(tx, agent_id)
    if known is None or known.drift.since is None or digest is None:
        raise CannotAdoptError("no file on disk differs")
    last = await revision_rows.newest(tx, row.fleet)
    if last is None or row.held_scope != row.fleet or row.serving != last.number:
        raise ProblemError(
            409, "conflict", "the agent does not serve the newest revision of its fleet yet"
        )
    if last.recipes is not None:
        raise CannotAdoptError("its fleet gets values of single nodes, which an edit does not name")
    kind = Kind(engine.engine, engine.version, tuple(sorted(engine.capabilities)))
    seen = Seen(known.drift, await store.files(tx, agent_id), kind)
    return Case(row, digest, last.id, await revisions.contents_of(tx, last, sealer), seen)


async def worked_out(one: Case) -> list[Change]:
    """Returns the changes of a proposal; raises CannotAdoptError, ProblemError. Works in a
    thread."""
    return await asyncio.to_thread(lambda: drafts.checked(proposed(one.contents, one.seen)))


async def propose(tx: Transaction, one: Case, changes: list[Change], now_ms: int) -> Draft:
    """Makes the draft, in place of the agent's earlier one, with its event and its line in the
    audit log; raises CannotAdoptError, ProblemError."""
    await _require_still(tx, one)
    draft = await _put(tx, one.agent, await _owned(tx, one, changes), now_ms)
    row = ProposalRow(
        agent=one.agent.id,
        of=one.digest,
        draft=draft.name,
        version=draft.version,
        why="",
        at=now_ms,
    )
    await store.keep(tx, row)
    files = [file.path for file in one.seen.files[:_MOST_FILES]]
    detail = {"fleet": one.agent.fleet, "draft": draft.name, "files": list(files)}
    news = News(type="agents.drift-proposed", object=one.agent.id, actor=one.agent.id)
    await events.append_all(tx, [news.model_copy(update={"detail": detail})], now_ms)
    line = Event(
        organisation_id=one.agent.organisation_id,
        workspace=one.agent.workspace_id,
        actor=one.agent.id,
        actor_name=one.agent.name,
        action="drift was proposed",
        object=f"drafts/{draft.name}",
    )
    await record(tx, line, now_ms)
    return draft


async def refuse(tx: Transaction, agent_id: str, digest: str, why: str, now_ms: int) -> None:
    """Keeps why this drift of an agent was not proposed, so that it is not tried again."""
    before = await store.proposal(tx, agent_id)
    row = ProposalRow(
        agent=agent_id,
        of=digest,
        draft="" if before is None else before.draft,
        version=0 if before is None else before.version,
        why=why,
        at=now_ms,
    )
    await store.keep(tx, row)


async def shown(tx: Transaction, agent_id: str) -> Proposal | None:
    """Returns the newest proposal of an agent; None if there was none."""
    row = await store.proposal(tx, agent_id)
    if row is None:
        return None
    draft = await draft_rows.find(tx, row.draft) if row.draft else None
    is_open = draft is not None and draft.created_by == agent_id
    return Proposal(
        at=row.at,
        state="refused" if row.why else "open" if is_open else "ended",
        draft=row.draft if is_open else None,
        error=row.why,
    )


async def _require_still(tx: Transaction, one: Case) -> None:
    last = await revision_rows.newest(tx, one.agent.fleet)
    digest = await store.digest(tx, one.agent.id)
    if last is None or last.id != one.revision or digest != one.digest:
        raise ProblemError(409, "conflict", "the drift or the revision is another one; try again")


async def _owned(tx: Transaction, one: Case, changes: list[Change]) -> list[Change]:
    """Returns the changes in the sets and for the fleets of the objects that they are about; raises
    CannotAdoptError if people changed one since it was published."""
    sent = import_of(one.contents)
    of_import = None if sent is None else await resources.find(tx, sent.path)
    found = []
    for change in changes:
        path = resource_path(change.kind, change.name)
        row, was = await resources.find(tx, path), one.contents.get(path)
        if (None if row is None else row.spec.encode()) != was or of_import is None:
            raise CannotAdoptError(
                f"{path} is not as it was published last; publish it, or undo its change, first"
            )
        owner = of_import if row is None else row
        labels = json.loads(owner.fleets) if row is None else None
        found.append(change.model_copy(update={"set": owner.set_name, "fleets": labels}))
    return found


async def _put(tx: Transaction, agent: AgentRow, changes: list[Change], now_ms: int) -> Draft:
    name = f"drift-{agent.id.lower()}"
    before, known = await draft_rows.find(tx, name), await store.proposal(tx, agent.id)
    if before is None:
        await _require_room(tx, agent)
    elif before.created_by != agent.id or known is None or before.version != known.version:
        raise CannotAdoptError(f"people changed the draft {name}; publish or discard it first")
    draft = Draft(
        id=new_id(now_ms) if before is None else before.id,
        version=1 if before is None else before.version + 1,
        name=name,
        changes=changes,
        created_by=agent.id,
        changed_at=now_ms,
    )
    if before is None:
        await draft_rows.insert(tx, draft)
    elif not await draft_rows.put(tx, draft, before.version):
        raise ProblemError(409, "conflict", "somebody changed the draft meanwhile; try again")
    return draft


async def _require_room(tx: Transaction, agent: AgentRow) -> None:
    made = (draft_rows.DRAFTS.c.created_by == AGENTS.c.id, AGENTS.c.fleet == agent.fleet)
    if await tx.count(draft_rows.DRAFTS, *made) >= MOST_OPEN:
        raise CannotAdoptError(
            f"{MOST_OPEN} proposals of the fleet are open; publish or discard some"
        )
