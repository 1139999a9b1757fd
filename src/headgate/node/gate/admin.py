"""The admin API of a node whose control plane is elsewhere: what is known on this side."""

import contextlib
import os
import platform
import time

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from headgate.engines.applies import Applies
from headgate.engines.status import EngineStatus
from headgate.engines.types import EngineUnavailableError
from headgate.kernel.openmetrics import END, family
from headgate.node.about import (
    ConfigStatus,
    Done,
    Health,
    NodeStatus,
    Problem,
    ProcessStatus,
    version,
)
from headgate.node.admin.guard import Guard
from headgate.node.admin.monitoring import Monitoring, json
from headgate.node.gate.process import Gate, pids
from headgate.node.link import LinkError
from headgate.node.remote.families import families, restarts
from headgate.node.results import Outcome, ReloadResult
from headgate.node.rights import rights, warnings

_NO_CONFIG = (
    "the config of this node comes over its control link; run `headgate reload` where its control "
    "plane runs"
)


def admin_app(gate: Gate) -> Starlette:
    """Returns the whole API, for the Unix socket."""
    api = Api(gate)
    return Starlette(
        routes=[
            *api.open_routes(),
            Route("/status", api.status),
            Route("/reload", api.reload, methods=["POST"]),
            Route("/drain", api.drain, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, names=gate.options.admin_hosts)],
    )


def metrics_app(gate: Gate) -> Starlette:
    """Returns health and metrics alone, for an address that others may reach."""
    return Starlette(
        routes=Api(gate).open_routes(),
        middleware=[Middleware(Guard, names=gate.options.admin_hosts)],
    )


class Api(Monitoring):
    """The handlers; paths and documents are those of every node."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def ready(self, _request: Request) -> Response:
        """Returns 200 while the data plane serves, also without a control plane."""
        document = await self._status()
        return PlainTextResponse(f"{document.reason}\n", 200 if document.ready else 503)

    async def health(self, _request: Request) -> Response:
        """Returns every endpoint's state; 503 only without a data plane."""
        engine = (await self._status()).engine
        if engine.state == "down":
            return json(Health("down", []), 503)
        states = {one.state for upstream in engine.upstreams for one in upstream.endpoints}
        return json(Health("ok" if states <= {"up"} else "degraded", engine.upstreams))

    async def status(self, _request: Request) -> Response:
        """Returns the processes of this side, the link, and what is known of the other side."""
        return json(await self._status())

    async def reload(self, _request: Request) -> Response:
        """Refuses: the config is not here."""
        digest = (await self._status()).config.digest
        result = ReloadResult(outcome=Outcome.FAILED, error=_NO_CONFIG, digest=digest)
        return json(result, 409)

    async def drain(self, _request: Request) -> Response:
        """Drains the node and ends it."""
        try:
            await self._gate.link.drain()
        except LinkError as error:
            return json(Problem(str(error)), 503)
        return json(Done(), 202)

    async def _status(self) -> NodeStatus:
        gate = self._gate
        about = await gate.supervisor()
        engine = await self._engine()
        reason = "ready"
        if gate.is_draining:
            reason = "draining"
        elif engine.state == "down":
            reason = engine.why
        elif about is None or not about.listening:
            reason = "no config was served yet"
        found = [one for name, pid in pids(about).items() if (one := rights(name, pid)) is not None]
        uptime_s = round(time.time() - gate.started_at, 3)
        return NodeStatus(
            ready=reason == "ready",
            reason=reason,
            control=None,
            gate=ProcessStatus(version(), os.getpid(), uptime_s),
            config=ConfigStatus(
                sources=[],
                digest=engine.digest,
                objects=None,
                last_success_at=0.0,
                last_reload=None,
            ),
            supervisor=about,
            engine=engine,
            processes=found,
            warnings=warnings(found, root_is_meant=gate.options.user == "root"),
            link=gate.door.about(),
        )

    async def _engine(self) -> EngineStatus:
        from headgate.engines.native.status import (  # noqa: PLC0415 - the link needs no plans
            engine_status,
        )

        with contextlib.suppress(EngineUnavailableError):
            client = await self._gate.client()
            if client is not None:
                identity, plane = await client.hello(version()), await client.status(endpoints=True)
                return engine_status(plane, identity, Applies())
        return engine_status(None, None, Applies())

    async def page(self) -> bytes:
        """Returns the metrics page in OpenMetrics text."""
        gate = self._gate
        traffic: bytes | None = None
        with contextlib.suppress(EngineUnavailableError):
            client = await gate.client()
            traffic = None if client is None else await client.metrics()
        about = await gate.supervisor()
        build = {"version": version(), "python": platform.python_version()}
        parts = [
            family("headgate_build", "info", "Version of the gate.", [(build, 1)]),
            family(
                "headgate_up",
                "gauge",
                "1 while the engine answers.",
                [({}, int(traffic is not None))],
            ),
            *families(gate.door.about(), gate.door.refusals.counts),
        ]
        if about is not None:
            parts += restarts(about, {"dataplane": "dataplane", "control": "gate"})
        return (traffic or b"") + "".join(parts).encode() + END
