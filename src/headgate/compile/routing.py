"""Finds which route of a plan takes a request, by the core's own router.

Its results cannot differ from what the data plane does: it is the same code.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Final, Literal

import msgspec

from headgate._core import PlanError, Router, TlsListeners, request_head
from headgate.compile.handshake import ClientAuths
from headgate.features import syntax
from headgate.kernel.errors import Invalid
from headgate.kernel.ids import BlobId
from headgate.plan.objects import Listener
from headgate.plan.plan import Plan, PlanEntry

_URL: Final = re.compile(r"(https?)://([^/?#]*)(.*)", re.DOTALL)
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]@\s]+?)\.?(?::([0-9]{1,5}))?")
_URL_ALLOWED: Final = 'write an absolute URL such as "https://a.example/path?query"'
_CERTIFICATE_ALLOWED: Final = (
    "leave the certificate out, or ask where the TLS policy has `client_auth`"
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SUBJECT: Final = ":client-subject"
"""The header name under which the core's router asks for the subject
of the client's certificate.
"""

_SAN: Final = ":client-san"
_FINGERPRINT: Final = ":client-fingerprint"
"""Likewise, for what middlewares make of the certificate."""

_ROUTED: Final = frozenset({"route", "host", "middleware"})


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request as a person describes it; also the body of `POST /explain`.

    A `host` header takes the place of the URL's host, as with curl. `client` is the peer: what its
    headers tell about the client counts where the listener trusts it. Without `listener` one is
    chosen that speaks the URL's scheme, if possible on its port. `client_subject`, `client_san`
    (each with its type, `dns:a.example`) and `client_fingerprint` (SHA-256 in lower-case hex) are
    those of the client's certificate; without any of them it has none. Of a connection
    (`tcp://host:port`), `sni` and `alpn` are what its ClientHello asks for and offers; of a flow
    (`udp://host:port`), `sni` is what its QUIC client asks for.
    """

    url: str
    method: str = "GET"
    headers: dict[str, str | list[str]] = msgspec.field(default_factory=dict)
    client: str = "127.0.0.1"
    listener: str | None = None
    client_subject: str | None = None
    client_san: list[str] = []
    client_fingerprint: str | None = None
    sni: str | None = None
    alpn: list[str] = []


class Refusal(msgspec.Struct, frozen=True):
    """The reason why a request is not routed; the status is 0 if the connection ends unanswered."""

    status: int
    detail: str


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the router takes it: host in lower case, path as sent, header names lower.

    `dropped` are the names of header lines that the listener drops. With a `refusal` the data plane
    looks at nothing else.
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
    refusal: Refusal | None = None


class _Rules(msgspec.Struct, frozen=True):
    """A listener's rules for heads, as the core takes them."""

    trusted: tuple[str, ...]
    header: str
    underscores: bool
    head_bytes: int
    header_count: int


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

    def __init__(
        self,
        plan: Plan,
        secrets: Collection[str] = (),
        blobs: Mapping[BlobId, bytes] | None = None,
    ) -> None:
        """Raises `PlanError` for what the data plane would refuse, all of it at once.

        `secrets`: texts of the plan that nothing may show (`headgate.compile.veil`). `blobs`: the
        content of the plan's blobs; without it results do not cover TLS handshakes.
        """
        self.plan = plan
        self._blobs = blobs
        self.secrets = secrets
        self.router = _router(plan.objects.values())
        listeners = {
            str(key.name): listener
            for key, entry in sorted(plan.objects.items())
            if key.kind == "listener" and isinstance(listener := entry.value, Listener)
        }
        self._listeners = {n: one for n, one in listeners.items() if one.protocol == "http"}
        self._unread = {n: one for n, one in listeners.items() if one.protocol != "http"}
        self.tcp_listeners = {
            n: one for n, one in listeners.items() if one.protocol == "tcp" or one.detect_timeout_ms
        }
        self.udp_listeners = {n: one for n, one in listeners.items() if one.protocol == "udp"}

    def request(self, question: Question, *, came: bool = False) -> Request:
        """Returns the question in the router's terms. `came`: it is a request that came, so that
        its client showed what the handshake asks for, which the question does not say.

        Raises `Invalid` when it is not a request, `ValueError` for a client that is not an address.
        """
        url = _URL.fullmatch(question.url)
        if url is None:
            raise Invalid(f'"{question.url}" is not a URL', _URL_ALLOWED, at=("request",))
        scheme, authority, rest = url.groups()
        target = rest if rest.startswith("/") else f"/{rest}"
        lines = _header_lines(question.headers)
        if not any(name == "host" for name, _ in lines):
            lines.insert(0, ("host", authority))
        name, port = _host(authority)
        other = None if came or port is None else self._of_other_scheme(scheme, port)
        listener = self._listener(question.listener or other, scheme, port)
        head = request_head(question.client, question.method, target, lines, self._rules(listener))
        asked = Request(
            listener=listener,
            scheme=scheme,
            host=name,
            port=port,
            path=target,
            query=None,
            method=question.method,
            headers=lines,
            client=question.client,
        )
        refusal = self._refused_by_tls(listener, scheme, name, name)
        if not came and (refusal is None or refusal.status):
            refusal = self._refused_connection(question, listener, scheme, name) or refusal
        if refusal is not None or isinstance(head[0], int):
            said = refusal or Refusal(int(head[0]), str(head[1]))
            return msgspec.structs.replace(asked, refusal=said)
        client, path, query, host, port, taken = head
        told = question.headers.keys()
        kept = [line for line, is_taken in zip(lines, taken, strict=True) if is_taken]
        return msgspec.structs.replace(
            asked,
            host=host,
            port=port,
            path=path,
            query=query,
            headers=[
                *(kept if any(key.lower() == "host" for key in told) else kept[1:]),
                *_certificate(question),
            ],
            client=client,
            dropped=[
                name for (name, _), is_taken in zip(lines, taken, strict=True) if not is_taken
            ],
            refusal=self._refused_by_tls(listener, scheme, name, host),
        )

    def _rules(self, name: str) -> _Rules:
        listener = self._listeners[name]
        return _Rules(
            listener.client_ip.trusted,
            listener.client_ip.header,
            listener.underscores_in_headers,
            listener.head_bytes,
            listener.header_count,
        )

    def _refused_by_tls(self, listener: str, scheme: str, name: str, host: str) -> Refusal | None:
        """Returns what a client gets that connects for `name` and asks for `host`,
        if TLS is the reason.
        """
        has_tls = self._listeners[listener].tls is not None
        if scheme == "http" or not has_tls:
            is_hello_on_plain = scheme == "https" and not has_tls
            return Refusal(400, "TLS handshake on a plain HTTP port") if is_hello_on_plain else None
        if self._blobs is None:
            return None
        sni = None if syntax.is_address(name) else name
        match self._tls.answer(listener, sni, host):
            case "alert":
                what = f'the name "{sni}"' if sni else "clients that send no name"
                return Refusal(0, f"the TLS handshake fails: no certificate for {what}")
            case "misdirected":
                return Refusal(421, "this connection was made for another host")
            case _:
                return None

    def _refused_connection(
        self, question: Question, listener: str, scheme: str, name: str
    ) -> Refusal | None:
        has_tls = self._listeners[listener].tls is not None
        if has_tls and scheme == "http":
            return Refusal(0, "the listener expects TLS, and this is plain HTTP")
        sni = None if syntax.is_address(name) else name
        return self.refused_certificate(question, self._listeners[listener], sni, has_tls=has_tls)

    def refused_certificate(
        self, question: Question, listener: Listener, sni: str | None, *, has_tls: bool
    ) -> Refusal | None:
        """Returns what a client gets because of its certificate, or for want of one. `has_tls`:
        its TLS ends at the listener.

        Raises `Invalid` for a certificate that nobody asks for, so that no client shows it.
        """
        named = ("client_subject", "client_san", "client_fingerprint")
        given = next((name for name in named if getattr(question, name)), None)
        auth = self._auths.asked(listener, sni) if has_tls else None
        if auth is None and given is not None:
            what = "no connection there has a client certificate"
            raise Invalid(what, _CERTIFICATE_ALLOWED, at=(given,))
        if auth is None or not auth.required or given is not None or self._blobs is None:
            return None
        what = f'the name "{sni}"' if sni else "this listener"
        alert = f"the TLS handshake ends with an alert: {what} requires a client certificate"
        return Refusal(0, alert)

    @cached_property
    def _auths(self) -> ClientAuths:
        return ClientAuths(self.plan)

    def handshake(
        self, listener: str, sni: str | None, alpn: Sequence[str]
    ) -> tuple[Literal["agreed", "name", "protocol"], str | None] | None:
        """Returns what becomes of a client's TLS handshake with a listener that ends TLS, and the
        protocol that they agree on; None where it is not known.
        """
        return None if self._blobs is None else self._tls.handshake(listener, sni, alpn)

    @cached_property
    def _tls(self) -> TlsListeners:
        objects = [(e.key.kind, e.key.name, e.canonical) for e in self.plan.objects.values()]
        return TlsListeners(objects, {str(key): blob for key, blob in (self._blobs or {}).items()})

    def find(self, request: Request) -> Found | None:
        """Returns the route that takes a request; None = 404.

        Raises `ValueError` for a refused request and for a client that is not an address.
        """
        if request.refusal is not None:
            raise ValueError(request.refusal.detail)
        found = self.router.find(request)
        return Found(found[0], found[1]) if found else None

    def _listener(self, wanted: str | None, scheme: str, told_port: int | None) -> str:
        names = ", ".join(f'"{name}"' for name in self._listeners) or "none are configured"
        if wanted is not None:
            if wanted in self._unread:
                raise _unread(self._unread[wanted], wanted, names)
            if wanted not in self._listeners:
                allowed = f"write one of the listeners: {names}"
                raise Invalid(f'there is no listener "{wanted}"', allowed, at=("listener",))
            return wanted
        port = told_port or _DEFAULT_PORTS[scheme]
        fitting = {
            name: [address.rpartition(":")[2] for address in listener.addresses]
            for name, listener in self._listeners.items()
            if (listener.tls is not None) == (scheme == "https")
        }
        found = min(fitting, key=lambda name: (str(port) not in fitting[name], name), default=None)
        if found is None or str(port) not in fitting[found]:
            for name, listener in self._unread.items():
                if any(address.endswith(f":{port}") for address in listener.addresses):
                    raise _unread(listener, name, names)
        if found is None:
            raise Invalid(
                f"no listener serves {scheme}", f"write a URL of one of the listeners: {names}"
            )
        return found

    def _of_other_scheme(self, scheme: str, port: int) -> str | None:
        """Returns the listener of a port that a URL names, if none of its scheme has this port."""
        at_port = {
            name: (listener.tls is not None) == (scheme == "https")
            for name, listener in self._listeners.items()
            if any(address.endswith(f":{port}") for address in listener.addresses)
        }
        return None if any(at_port.values()) else min(at_port, default=None)


def _unread(listener: Listener, name: str, names: str) -> Invalid:
    what = "the datagrams of UDP" if listener.protocol == "udp" else "the bytes of TCP"
    return Invalid(
        f'listener "{name}" passes {what} unread, so no request has a route there',
        f'ask for "{listener.protocol}://HOST:PORT", or ask for one of the listeners: {names}',
        at=("listener",),
    )


def shadows(routes: Sequence[PlanEntry]) -> list[Shadow]:
    """Returns every route among these that can never match (`headgate.compile.lints.Shadows`).

    Empty when the routes are not all right: then there is worse to say.
    """
    try:
        router = _router(routes)
    except PlanError:
        return []
    return [Shadow(route, by[0]) for route, _, whole, by in router.shadowed() if whole]


def _router(entries: Iterable[PlanEntry]) -> Router:
    return Router([(*e.key, e.canonical) for e in entries if e.key[0] in _ROUTED])


def _header_lines(headers: Mapping[str, str | list[str]]) -> list[tuple[str, str]]:
    lines = []
    for name, values in headers.items():
        for value in [values] if isinstance(values, str) else values:
            lines.append((name.lower(), value.strip()))
    return lines


def _certificate(question: Question) -> list[tuple[str, str]]:
    """Returns what the core is told of the client's certificate."""
    one = ((_SUBJECT, question.client_subject), (_FINGERPRINT, question.client_fingerprint))
    lines = [(name, text) for name, text in one if text]
    return lines + [(_SAN, text) for text in question.client_san]


def _host(authority: str) -> tuple[str, int | None]:
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        raise Invalid(f'"{authority}" is not a host', _URL_ALLOWED, at=("request",))
    return found[1].lower(), int(found[2]) if found[2] else None
