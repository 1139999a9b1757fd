"""Requests against a plan: which route takes them, by the core's own router.

What the data plane would do and what is said here cannot differ: it is the same code.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from headgate._core import PlanError, Router, admitted
from headgate.kernel.errors import Invalid
from headgate.plan.objects import Listener
from headgate.plan.plan import Plan, PlanEntry

_URL: Final = re.compile(r"(https?)://([^/?#]*)([^?#]*)(?:\?([^#]*))?")
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]@\s]+?)\.?(?::([0-9]{1,5}))?")
_URL_ALLOWED: Final = 'write an absolute URL such as "https://a.example/path?query"'
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_ROUTED: Final = frozenset({"route", "host", "middleware"})


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request as a person describes it; also the body of `POST /explain`.

    A `host` header takes the place of the URL's host, as with curl. `client` is the peer: what its
    headers tell about the client counts where the listener trusts it. Without `listener` one is
    chosen that speaks the URL's scheme, if possible on its port.
    """

    url: str
    method: str = "GET"
    headers: dict[str, str | list[str]] = msgspec.field(default_factory=dict)
    client: str = "127.0.0.1"
    listener: str | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the router takes it: host in lower case, path as sent, header names lower.

    `dropped` are the names of header lines that the listener does not take.
    """

    listener: str
    scheme: str
    host: str
    port: int | None
    path: str
    query: str | None
    method: str
    headers: list[tuple[str, str]]
    client: str
    dropped: list[str] = []


class Found(msgspec.Struct, frozen=True):
    """The route that takes a request, and which of its matches."""

    route: str
    match: int


class Shadow(msgspec.Struct, frozen=True):
    """A route that can never match, and one that takes requests of it."""

    route: str
    by: str


class Routing:
    """The routes of a plan. Immutable; may be used by several threads."""

    def __init__(self, plan: Plan, secrets: Collection[str] = ()) -> None:
        """Raises `PlanError` for what the data plane would refuse, all of it at once.

        `secrets`: texts of the plan that must not be shown (`headgate.compile.veil`).
        """
        self.plan = plan
        self.secrets = secrets
        self.router = _router(plan.objects.values())
        self._listeners = {
            str(key.name): listener
            for key, entry in sorted(plan.objects.items())
            if key.kind == "listener" and isinstance(listener := entry.value, Listener)
        }

    def request(self, question: Question) -> Request:
        """What is asked, in the router's terms.

        Raises `Invalid` when it is no request, `ValueError` for a client that is no address.
        """
        url = _URL.fullmatch(question.url)
        if url is None:
            raise Invalid(f'"{question.url}" is not a URL', _URL_ALLOWED, at=("request",))
        scheme, authority, path, query = url.groups()
        headers = _header_lines(question.headers)
        named = next((value for name, value in headers if name == "host"), authority)
        host, port = _host(named)
        reached = _host(authority)[1] or _DEFAULT_PORTS[scheme]
        listener = self._listener(question.listener, scheme, reached)
        client, taken = self._admitted(listener, question.client, headers)
        return Request(
            listener=listener,
            scheme=scheme,
            host=host,
            port=port,
            path=path or "/",
            query=query,
            method=question.method,
            headers=[line for line, is_taken in zip(headers, taken, strict=True) if is_taken],
            client=client,
            dropped=[name for (name, _), kept in zip(headers, taken, strict=True) if not kept],
        )

    def _admitted(
        self, name: str, peer: str, lines: list[tuple[str, str]]
    ) -> tuple[str, list[bool]]:
        """The client's address, and which lines the listener takes from that peer."""
        listener = self._listeners[name]
        told = listener.client_ip
        return admitted(peer, lines, told.trusted, told.header, listener.underscores_in_headers)

    def find(self, request: Request) -> Found | None:
        """The route that takes a request; None = 404.

        Raises `ValueError` for a path that gets 400 and for a client that is no address.
        """
        found = self.router.find(request)
        return Found(found[0], found[1]) if found else None

    def _listener(self, wanted: str | None, scheme: str, port: int) -> str:
        names = ", ".join(f'"{name}"' for name in self._listeners) or "none are configured"
        if wanted is not None:
            if wanted not in self._listeners:
                allowed = f"write one of the listeners: {names}"
                raise Invalid(f'there is no listener "{wanted}"', allowed, at=("listener",))
            return wanted
        fitting = {
            name: [address.rpartition(":")[2] for address in listener.addresses]
            for name, listener in self._listeners.items()
            if (listener.tls is not None) == (scheme == "https")
        }
        if not fitting:
            raise Invalid(
                f"no listener serves {scheme}", f"write a URL of one of the listeners: {names}"
            )
        return min(fitting, key=lambda name: (str(port) not in fitting[name], name))


def shadows(routes: Sequence[PlanEntry]) -> list[Shadow]:
    """Every route among these that can never match (`headgate.compile.lints.Shadows`).

    Empty when the routes are not all right: then there is worse to say.
    """
    try:
        router = _router(routes)
    except PlanError:
        return []
    return [Shadow(route, by[0]) for route, _, whole, by in router.shadowed() if whole]


def _router(entries: Iterable[PlanEntry]) -> Router:
    return Router([(e.key.kind, e.key.name, e.canonical) for e in entries if e.key.kind in _ROUTED])


def _header_lines(headers: Mapping[str, str | list[str]]) -> list[tuple[str, str]]:
    lines = []
    for name, values in headers.items():
        for value in [values] if isinstance(values, str) else values:
            lines.append((name.lower(), value.strip()))
    return lines


def _host(authority: str) -> tuple[str, int | None]:
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        raise Invalid(f'"{authority}" is not a host', _URL_ALLOWED, at=("request",))
    return found[1].lower(), int(found[2]) if found[2] else None
