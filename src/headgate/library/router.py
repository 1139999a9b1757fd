"""Routes as the data plane matches them: by host, path, method, headers, cookies and client, in
its order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from headgate._core import PlanError, RouteFinder
from headgate._core import Router as Core
from headgate.compile.located import refusals
from headgate.library.compiled import compiled, refused
from headgate.library.matching import CookieMatch, HeaderMatch, MethodMatch, PathMatch

_LISTENER: Final = "router"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route: the requests that it takes, and the action on them.

    A `Router` looks at the conditions alone; as a part of the config of a `Proxy` a route needs one
    action: `upstream`, `respond` or `redirect`, or one in `more`, where every other key of a route
    goes, too (docs/reference/config.md).
    """

    hosts: tuple[str, ...] = ("*",)
    """`a.example`, `*.example` or `*`; a more exact host goes first, whatever the priority."""
    path: PathMatch | None = None
    methods: MethodMatch | None = None
    headers: tuple[HeaderMatch, ...] = ()
    """All must hold."""
    cookies: tuple[CookieMatch, ...] = ()
    """All must hold."""
    clients: tuple[str, ...] = ()
    """The client's address is in one of these networks, such as `10.0.0.0/8`."""
    priority: int = 0
    """Within one host, routes with a higher one go first; then the more exact path."""
    upstream: str | None = None
    respond: Mapping[str, object] | None = None
    redirect: Mapping[str, object] | None = None
    more: Mapping[str, object] = field(default_factory=dict)
    target: object = None
    """An object that the program keeps with the route; headgate does not look at it."""

    def to_config(self) -> dict[str, object]:
        """Returns the table of the route."""
        table = self._conditions()
        actions = {"upstream": self.upstream, "respond": self.respond, "redirect": self.redirect}
        table |= {key: value for key, value in actions.items() if value is not None}
        return table | dict(self.more)

    def _conditions(self) -> dict[str, object]:
        match: dict[str, object] = {}
        if self.path is not None:
            match["path"] = self.path.to_config()
        if self.methods is not None:
            match["methods"] = self.methods.to_config()
        if self.headers:
            match["headers"] = {one.name: one.to_config() for one in self.headers}
        if self.cookies:
            match["cookies"] = {one.name: one.to_config() for one in self.cookies}
        if self.clients:
            match["client"] = list(self.clients)
        table: dict[str, object] = {"hosts": list(self.hosts), "priority": self.priority}
        return table | ({"match": [match]} if match else {})


class Router(RouteFinder[Route]):
    """Finds the route of a request. Immutable; may be used by several threads.

    >>> router = Router({
    ...     "items": Route(path=PathMatch(prefix="/items"), target=1),
    ...     "rest": Route(hosts=("api.example.com",), target=2),
    ... })
    >>> router.match("api.example.com", "/items/7?full").target
    2
    >>> router.match("other.example", "/items/7").target
    1
    >>> router.match("other.example", "/") is None
    True
    """

    def __init__(self, routes: Mapping[str, Route]) -> None:
        """Takes routes by name. Raises `ConfigError` with everything that is wrong with them."""
        listener = {"address": "127.0.0.1:1", "default": True}
        tables = {name: route._conditions() | _ANSWER for name, route in routes.items()}
        loaded = compiled({"listeners": {_LISTENER: listener}, "routes": tables})
        plan = loaded.plan
        entries = plan.objects.values() if plan is not None else ()
        try:
            core = Core([(*e.key, e.canonical) for e in entries if e.key.kind == "route"])
        except PlanError as error:
            raise refused(refusals(loaded, error)) from None
        self._core = core
        self._names = tuple(core.names)
        self._routes = tuple(routes[name] for name in self._names)

    def __getstate__(self) -> dict[str, object]:
        """Returns what a copy shares."""
        return dict(vars(self))


_ANSWER: Final[dict[str, object]] = {"respond": {"status": 204}}
"""The action that the routes of a router would take: a route needs one."""
