"""The variant that a node would get of the workspace's resources."""

from headgate.master.api.problems import ProblemError
from headgate.master.domains.agents.store import AgentRow
from headgate.master.domains.drafts.contents import gathered
from headgate.master.domains.fleets import service as fleets
from headgate.master.domains.templates.node_values import Node, Variant, variants
from headgate.master.domains.templates.recipes import recipes_of
from headgate.master.store.sealing import Sealer
from headgate.master.store.transaction import Transaction


async def wanted(tx: Transaction, row: AgentRow, sealer: Sealer, now_ms: int) -> Variant:
    """Returns what an agent would get if the resources were published now, with the node's own
    values; raises ProblemError if one is missing or wrong."""
    fleet = await fleets.found(tx, row.fleet)
    contents = await gathered(tx, [], sealer, fleet.shown().labels)
    recipes = await recipes_of(tx, contents)
    node = Node(row.id, row.name, row.shown(now_ms).labels)
    found, gaps = variants(contents, recipes, [node])
    if gaps:
        detail = f"{len(gaps)} values are missing or wrong, see `errors`"
        raise ProblemError(422, "invalid", detail, errors=gaps)
    return found[0]
