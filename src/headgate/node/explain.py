"""Answers `POST /explain`: which route of the served plan a request would take, and why."""

import asyncio
from typing import Final

import msgspec

from headgate.compile.addressed import kind_of
from headgate.compile.answers import answer
from headgate.compile.closed import REASON
from headgate.compile.explanation import Explanation, Known
from headgate.compile.routing import Question, Routing
from headgate.compile.veil import veiled
from headgate.engines.types import EndpointStatus
from headgate.kernel.errors import Invalid
from headgate.kernel.ids import ObjectName
from headgate.node.ports import Candidate
from headgate.node.state import Node
from headgate.plan.kinds import ObjectKey

_UNKNOWN: Final = (
    "this node has not read the config that is served, so it cannot explain it; "
    "give the config by --config"
)


class ExplainError(Exception):
    """The request cannot be explained; `status` is the HTTP status of the answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Explainer:
    """Keeps the router of the served plan, made at the first question."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._made_of: Candidate | None = None
        self._routing: Routing | None = None

    async def explain(self, body: bytes) -> bytes:
        """Returns the explanation, as JSON, of the question in `body`; raises ExplainError."""
        try:
            question = msgspec.json.decode(body, type=Question)
        except ValueError as error:
            raise ExplainError(str(error), 400) from error
        served = self._node.pipeline.in_service()
        if served is None:
            raise ExplainError(_UNKNOWN, 503)
        routing = await self._router(served)
        upstreams = await self._node.serving.upstreams()
        states = None
        if upstreams is not None:
            states = {u.name: {e.address: _known(e) for e in u.endpoints} for u in upstreams}
        try:
            found = _noted(answer(routing, question, served.places, states), served)
        except (Invalid, ValueError) as error:
            raise ExplainError(str(error), 400) from error
        return msgspec.json.encode(veiled(found, served.plan, served.secrets))

    async def _router(self, served: Candidate) -> Routing:
        if self._routing is None or self._made_of is not served:
            self._routing = await asyncio.to_thread(
                Routing, served.plan, served.secrets, served.blobs
            )
            self._made_of = served
        return self._routing


def _known(one: EndpointStatus) -> Known:
    return Known(one.state, one.why, one.negotiated)


def _noted(found: Explanation, served: Candidate) -> Explanation:
    """Adds why the route that takes the request is not served as it is written."""
    if found.won is None:
        return found
    name = ObjectName(found.won.route.partition(f"#{REASON}")[0])
    one = served.quarantined.get(ObjectKey(kind_of(found.url), name))
    if one is None:
        return found
    won = msgspec.structs.replace(found.won, quarantined=f"{one.form}: {one.why}")
    return msgspec.structs.replace(found, won=won)
