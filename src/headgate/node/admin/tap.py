"""`GET /tap`: requests from now on, as they end, one a line."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from headgate.compile.credentials import credential_names, hidden_parameters
from headgate.engines.types import EngineUnavailableError, TapChunk, TapRefusedError
from headgate.kernel.errors import Invalid
from headgate.kernel.redaction import Hidden
from headgate.node.about import Problem
from headgate.node.admin.monitoring import json
from headgate.node.admin.tap_query import tap_filter
from headgate.node.admin.veil import Veil
from headgate.node.pipeline import Pipeline
from headgate.node.ports import Candidate
from headgate.node.state import Node
from headgate.plan.plan import Plan

_NAMED: Final = ("listener", "route", "upstream")
_NOTHING: Final = "no config was served by this control process yet"


async def tap(node: Node, request: Request) -> Response:
    """Returns requests as JSON lines or, on request, as server-sent events, until the client goes.

    It begins with the head once a request that begins then is shown.
    """
    served = node.pipeline.in_service()
    if served is None:
        return json(Problem(_NOTHING), 503)
    try:
        wanted = tap_filter(request.query_params.multi_items(), _names(served.plan))
    except Invalid as wrong:
        return json(Problem(str(wrong)), 400)
    try:
        chunks = node.serving.tap(wanted)
        first = await anext(chunks)
    except TapRefusedError as refused:
        return json(Problem(str(refused)), 429 if refused.is_full else 422)
    except (EngineUnavailableError, StopAsyncIteration) as away:
        return json(Problem(str(away) or "the data plane is being replaced"), 503)
    sse = "text/event-stream" in request.headers.get("accept", "")
    kind = "text/event-stream" if sse else "application/jsonl"
    around = (b"data: ", b"\n\n") if sse else (b"", b"\n")
    text = _text(first, chunks, Veils(node.pipeline, served), around)
    return StreamingResponse(text, headers={"content-type": kind, "cache-control": "no-store"})


class Veils:
    """The veil of the config that is served now."""

    def __init__(self, pipeline: Pipeline, served: Candidate) -> None:
        self._pipeline = pipeline
        self._served = served
        self._veil = _veil(served)

    def now(self) -> Veil:
        """Returns it."""
        served = self._pipeline.in_service()
        if served is not None and served is not self._served:
            self._served, self._veil = served, _veil(served)
        return self._veil


def _veil(served: Candidate) -> Veil:
    hidden = Hidden(served.secrets, hidden_parameters(served.plan))
    return Veil(hidden, credential_names(served.plan))


def _names(plan: Plan) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {kind: [] for kind in _NAMED}
    for key in plan.objects:
        if key.kind in names:
            names[key.kind].append(key.name)
    return names


async def _text(
    first: TapChunk,
    chunks: AsyncGenerator[TapChunk, None],
    veils: Veils,
    around: tuple[bytes, bytes],
) -> AsyncIterator[bytes]:
    """Yields what the client gets of each chunk; ends with the data plane."""
    async with contextlib.aclosing(chunks):
        yield _shown(first, veils.now(), around)
        with contextlib.suppress(EngineUnavailableError):
            async for chunk in chunks:
                yield _shown(chunk, veils.now(), around)


def _shown(chunk: TapChunk, veil: Veil, around: tuple[bytes, bytes]) -> bytes:
    before, after = around
    lines = [veil.line(line) for line in chunk.lines.splitlines()]
    if chunk.dropped:
        lines.append(msgspec.json.encode({"dropped": chunk.dropped}))
    return b"".join(before + line + after for line in lines)
