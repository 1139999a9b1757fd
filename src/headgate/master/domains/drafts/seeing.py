"""Asks the nodes of a fleet for the requests that they had lately."""

from headgate.fleet.searches import MOST_LINES
from headgate.master.access import Permission
from headgate.master.api.call import Call
from headgate.master.api.problems import ForbiddenError
from headgate.master.domains.drafts.requests import Seen
from headgate.master.domains.fleets import service as fleets
from headgate.master.domains.logs import service
from headgate.master.domains.logs.asking import searched
from headgate.master.domains.logs.types import LogQuery
from headgate.master.store.transaction import Transaction


async def had(call: Call, fleet: str) -> dict[str, Seen]:
    """Returns the newest lines of a fleet's access logs, by the fleet's id; raises ProblemError."""
    if not call.caller.may(Permission.LOGS_READ, call.scope):
        raise ForbiddenError(
            Permission.LOGS_READ,
            "`seen` needs the permission logs.read; leave it out for made ones",
        )
    call.action = Permission.LOGS_READ.value
    found_id = ""

    async def asked_of(tx: Transaction) -> service.Asked:
        nonlocal found_id
        found_id = (await fleets.found(tx, fleet)).id
        return await service.of_fleet(tx, fleet)

    found = await searched(call, LogQuery(limit=MOST_LINES), asked_of)
    lines: dict[str, list[str]] = {}
    for line in found.lines:
        lines.setdefault(line.agent, []).append(line.text)
    count = sum(one.state in {"searched", "cut"} for one in found.agents)
    return {found_id: Seen(lines, count, len(found.agents) - count + found.agents_left_out)}
