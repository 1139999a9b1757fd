"""Finds middlewares whose requests to an upstream lack what the balancer of that hashes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from headgate.features.nodes import balancer_of, node_of
from headgate.kernel.diagnostics import ConfigPath
from headgate.plan.middleware import Step
from headgate.plan.objects import Host, Route, Upstream
from headgate.plan.plan import PlanEntry


class Lacking(NamedTuple):
    """A middleware that never sends what is hashed."""

    owner: PlanEntry
    at: ConfigPath
    """The key that leaves it out, from the owner on."""
    upstream: str
    hashed: str
    """`header:NAME` or `cookie:NAME`."""


def lacking(owners: Iterable[PlanEntry], upstreams: Iterable[PlanEntry]) -> Iterator[Lacking]:
    """Yields each middleware of these owners, or that is one of them, which leaves it out."""
    hashed = dict(_hashing(upstreams))
    names = [name.encode() for name in hashed]
    for owner in owners if hashed else ():
        if any(name in owner.canonical for name in names):
            for at, step in _steps(owner):
                yield from _of_step(owner, at, step, hashed)


def _hashing(upstreams: Iterable[PlanEntry]) -> Iterator[tuple[str, str]]:
    """Yields the upstreams that hash a header or a cookie, and which."""
    for entry in upstreams:
        if isinstance(entry.value, Upstream) and b'"key"' in entry.canonical:
            hashed = balancer_of(entry.value.balance).hashed
            if ":" in hashed:
                yield entry.key.name, hashed


def _steps(owner: PlanEntry) -> Iterator[tuple[ConfigPath, Step]]:
    value = owner.value
    if isinstance(value, Step):
        yield (), value
    elif isinstance(value, Host | Route):
        for index, used in enumerate(value.middlewares):
            yield ("middlewares", index), used


def _of_step(
    owner: PlanEntry, at: ConfigPath, step: Step, hashed: Mapping[str, str]
) -> Iterator[Lacking]:
    node = node_of(step)
    for _, upstream in node.upstreams if node is not None else ():
        what = hashed.get(upstream, "")
        key = node.withheld(what) if node is not None and what else ""
        if key:
            yield Lacking(owner, (*at, step.kind, key), upstream, what)
