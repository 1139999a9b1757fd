"""Finds hosts with middlewares that requests for the names of these hosts do not pass.

A route has the middlewares of the hosts that it names. A TLS policy, in contrast, is for every name
that its host covers and no other host covers better.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from headgate.compile.clientauth import most_specific
from headgate.kernel.diagnostics import dotted
from headgate.plan.objects import Host, Route
from headgate.plan.plan import PlanEntry


class Unpassed(NamedTuple):
    """A host whose middlewares some or all of its requests do not pass."""

    host: str
    what: str
    allowed: str


def unpassed(hosts: Iterable[PlanEntry], routes: Iterable[PlanEntry]) -> Iterator[Unpassed]:
    """Yields each of these hosts with middlewares that requests of these routes do not pass.

    A name with a host of its own has what that says. Nor does a route count that names the same
    middlewares, or that answers by itself: nothing behind it is open then.
    """
    known = {str(one.key.name): one.value for one in hosts}
    having = {name: h for name, h in known.items() if isinstance(h, Host) and h.middlewares}
    named: set[str] = set()
    bare: dict[str, dict[str, str]] = {name: {} for name in having}
    for one in routes if having else ():
        route = one.value
        if not isinstance(route, Route):
            continue
        named.update(route.hosts)
        if route.action.respond is not None or route.action.redirect is not None:
            continue
        for name in route.hosts:
            host = most_specific(name, known)
            if host is None or host == name or host not in having:
                continue
            if any(use not in route.middlewares for use in having[host].middlewares):
                bare[host].setdefault(name, str(one.key.name))
    for host, names in bare.items():
        if names:
            yield _bare(host, names)
        elif host not in named:
            what = "they never run: no route has this host"
            yield Unpassed(host, what, f'write `hosts = "{host}"` in a route, or leave them out')


def _bare(host: str, names: Mapping[str, str]) -> Unpassed:
    """Returns what to say of names that are served without a host's middlewares, and by whom."""
    name, route = next(iter(names.items()))
    more = len(names) - 1
    others = f" and {more} other host{'s' if more > 1 else ''}" if more else ""
    what = (
        f'"{name}"{others} {"are" if more else "is"} served without them: they run where `hosts` '
        f'of a route has "{host}" itself'
    )
    allowed = (
        f"name them in [{dotted(('routes', route))}] too, or, if it is meant, write "
        f"[{dotted(('hosts', name))}], which takes the place of this whole table"
    )
    return Unpassed(host, what, allowed)
