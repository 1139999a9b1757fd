"""Finds routes for gRPC whose endpoints speak HTTP/1.1: each call would be refused (501)."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from headgate.kernel.diagnostics import ConfigPath
from headgate.plan.objects import Route, Upstream
from headgate.plan.plan import PlanEntry

_MEDIA_TYPE = "application/grpc"


class Hopeless(NamedTuple):
    """A route for gRPC, the place that says so, and the upstream that cannot take its calls."""

    route: str
    at: ConfigPath
    upstream: str


def hopeless(routes: Iterable[PlanEntry], upstreams: Iterable[PlanEntry]) -> Iterator[Hopeless]:
    """Yields each route for gRPC once for each upstream of it that speaks HTTP/1.1."""
    meant = [entry for entry in routes if b"grpc" in entry.canonical]
    if not meant:
        return
    old = {
        str(entry.key.name)
        for entry in upstreams
        if isinstance(entry.value, Upstream) and entry.value.protocol == "http1"
    }
    for entry in sorted(meant, key=lambda one: one.key):
        route = entry.value
        at = _said(route) if isinstance(route, Route) else None
        if at is None or not isinstance(route, Route):
            continue
        parts = route.action.split or ()
        for name in sorted({route.action.upstream or "", *(part.upstream for part in parts)} & old):
            yield Hopeless(entry.key.name, at, name)


def _said(route: Route) -> ConfigPath | None:
    """Returns where a route says that it is for gRPC; None if it does not."""
    for index, match in enumerate(route.match):
        for name, value in match.headers.items():
            text = value.exact or value.prefix or ""
            if name.lower() == "content-type" and text.startswith(_MEDIA_TYPE):
                return ("match", index, "headers", name)
    if route.retry is not None:
        for index, word in enumerate(route.retry.on):
            if word.startswith("grpc-"):
                return ("retry", "on", index)
    return None
