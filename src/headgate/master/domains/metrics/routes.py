"""The routes of what fleets served."""

from typing import Annotated

from fastapi import Query

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.routing import Routes
from headgate.master.api.types import Page
from headgate.master.domains.fleets import service as fleets
from headgate.master.domains.metrics import service
from headgate.master.domains.metrics.types import MetricsPoint, MetricsWindow

ROUTES = Routes("metrics")


@ROUTES.get("/workspaces/{workspace}/fleets/{fleet}/metrics", Permission.FLEETS_READ)
async def list_fleet_metrics(
    call: Here, workspace: str, fleet: str, window: Annotated[MetricsWindow, Query()]
) -> Page[MetricsPoint]:
    """Lists what the nodes of a fleet served, by time: requests, errors, connections, latency."""
    async with call.read() as tx:
        found = await fleets.found(tx, fleet)
        return await service.page(tx, found.id, window, call.now_ms)
