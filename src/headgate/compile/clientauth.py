"""Finds routes that would serve a host without the client certificate that it demands."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import product
from typing import TypeVar

from headgate.features.nodes import node_of
from headgate.kernel.diagnostics import dotted
from headgate.kernel.ids import ObjectName
from headgate.model.problems import Problem
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.middleware import Step
from headgate.plan.objects import Host, Listener, Route, TlsPolicy
from headgate.plan.plan import PlanEntry

T = TypeVar("T")

Objects = Mapping[ObjectKey, PlanEntry]

Entries = Callable[[Kind], list[PlanEntry]]
"""The plan objects of a kind, by name."""


def served_without(entries: Entries, objects: Objects) -> list[Problem]:
    """Returns routes that serve a host without TLS although it demands client certificates.

    A route that sends every plain request to https does not count, nor does one of plain listeners
    alone that forwards nothing. It looks at every route if there are such hosts and plain
    listeners, else at listeners and policies alone.
    """
    listeners = dict(_of(entries("listener"), Listener))
    plain = {name for name, one in listeners.items() if one.tls is None}
    demanding = {n for n, one in _of(entries("tls_policy"), TlsPolicy) if _demands(one)}
    if not plain or not demanding:
        return []
    hosts = dict(_of(entries("host"), Host))
    closed = {n for n, one in hosts.items() if one.tls_policy in demanding and not one.allow_plain}
    routes = dict(_of(entries("route"), Route)) if closed else {}
    guarded = _Guarded(closed, hosts.keys(), routes)
    problems: list[Problem] = []
    for name, route in routes.items():
        here = plain & set(route.listeners)
        # A listener with an error is neither: nobody knows whether it has TLS.
        with_tls = set(route.listeners) & listeners.keys() - plain
        if here and _serves(route, is_plain_only=not with_tls):
            opened = [host for host in route.hosts if not _to_https(route, host, objects)]
            secured = guarded.answered(route.hosts, with_tls)
            for host, owner in guarded.answered(opened, here).items():
                # A route that answers only for other hosts where there is TLS reveals nothing of
                # this host.
                if host in secured or host in route.hosts:
                    problems.append(_problem(name, host, owner, sorted(here)))
    return problems


def _of(entries: Iterable[PlanEntry], node: type[T]) -> Iterator[tuple[str, T]]:
    for entry in entries:
        value = entry.value
        if isinstance(value, node):
            yield str(entry.key.name), value


def _demands(policy: TlsPolicy) -> bool:
    return policy.client_auth is not None and policy.client_auth.required


def _serves(route: Route, *, is_plain_only: bool) -> bool:
    """Reports whether it may give away what a host guards:
    answers of its own are the user's words.
    """
    forwards = route.action.upstream is not None or route.action.split is not None
    return forwards or not is_plain_only


def _to_https(route: Route, host: str, objects: Objects) -> bool:
    """Reports whether a plain request for the host is redirected to https before anything else."""
    owner = objects.get(ObjectKey("host", ObjectName(host)))
    value = owner.value if owner is not None else None
    uses = [*(value.middlewares if isinstance(value, Host) else ()), *route.middlewares]
    for use in uses:
        named = objects.get(ObjectKey("middleware", ObjectName(use.use))) if use.use else None
        step = named.value if named is not None else use
        node = node_of(step) if isinstance(step, Step) else None
        if node is not None and node.leads_to_https:
            return True
    redirect = route.action.redirect
    return redirect is not None and redirect.leads_to_https


class _Guarded:
    """Names that only clients with a certificate may ask for, by who answers them on a listener."""

    def __init__(
        self, closed: Collection[str], known: Collection[str], routes: Mapping[str, Route]
    ) -> None:
        hosts: dict[str, set[str]] = {}
        for route in routes.values():
            for listener in route.listeners:
                hosts.setdefault(listener, set()).update(route.hosts)
        guarded = {name: name for name in closed}
        for name in {host for of_one in hosts.values() for host in of_one}:
            owner = most_specific(name, known)
            if owner in closed:
                guarded[name] = str(owner)
        self._by: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for listener, of_one in hosts.items():
            for name, owner in sorted(guarded.items()):
                host = most_specific(name, of_one)
                if host is not None:
                    self._by.setdefault((listener, host), []).append((name, owner))

    def answered(self, hosts: Iterable[str], listeners: Iterable[str]) -> dict[str, str]:
        """Returns the names that these hosts of a route answer on these listeners,
        and who guards them.
        """
        keys = product(listeners, hosts)
        return dict(sorted(pair for key in keys for pair in self._by.get(key, ())))


def most_specific(name: str, known: Collection[str]) -> str | None:
    """Returns the most specific of these hosts that covers a name."""
    if name in known:
        return name
    rest = name.removeprefix("*.")
    while "." in rest:
        rest = rest.partition(".")[2]
        if f"*.{rest}" in known:
            return f"*.{rest}"
    return "*" if "*" in known else None


def _problem(route: str, host: str, owner: str, listeners: list[str]) -> Problem:
    where = ", ".join(f'"{name}"' for name in listeners)
    one = "listener" if len(listeners) == 1 else "listeners"
    return Problem(
        ("routes", route),
        f'host "{host}" demands client certificates, and this route serves it without any on the '
        f"plain {one} {where}",
        f"name TLS listeners alone in `listeners`, or write `allow_plain = true` in "
        f"[{dotted(('hosts', owner))}]",
        "key",
    )
