"""One search of logs, as a request asks for it: its turn, its line in the audit log, its counts."""

import time
from collections.abc import Awaitable, Callable

from headgate.fleet.signing import Bind
from headgate.master.api.call import Call
from headgate.master.api.problems import ProblemError
from headgate.master.domains.logs import service
from headgate.master.domains.logs.turns import THROTTLED
from headgate.master.domains.logs.types import FoundLogs, LogQuery
from headgate.master.store.transaction import Transaction


async def searched(
    call: Call, query: LogQuery, asked_of: Callable[[Transaction], Awaitable[service.Asked]]
) -> FoundLogs:
    """Searches the logs of some agents now; raises ProblemError."""
    # Nothing changes, so that nobody needs an event of it, and a repeat searches again.
    call.event, call.repeat = "", None
    master = call.master

    async def begun(tx: Transaction) -> tuple[service.Asked, Bind]:
        return await asked_of(tx), await master.authority.bind(tx.as_master())

    counts, began = master.searched, time.monotonic()
    try:
        with master.searches.taken(call.scope.workspace_id):
            asked, bind = await call.write(begun)
            wanted = service.search_of(query, call.now_ms)
            found = await service.searched(master.hub, master.relay, asked, wanted, bind)
    except ProblemError as refusal:
        counts.results["throttled" if refusal.status == THROTTLED else "refused"] += 1
        raise
    counts.answered(found.agents, time.monotonic() - began)
    return found
