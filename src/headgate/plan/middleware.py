"""The plan's middlewares: opaque `{kind: node}`, and the nodes that others of the plan use, too.

A node of one middleware alone stands in the folder of its feature. Nodes mirror those of hg-plan
and hg-middleware.
"""

from collections.abc import Iterator
from typing import Self

import msgspec

from headgate.plan.node import DefaultedNode, PlanNode
from headgate.plan.opaque import Opaque


class Made:
    """The effects of a middleware, for code that does not know the kind of the middleware.

    Mixed into the node of a middleware, which overrides what is not so for it.
    """

    __slots__ = ()

    @property
    def rewrites_path(self) -> bool:
        """True if it changes the path that is forwarded."""
        return False

    @property
    def judges_path(self) -> bool:
        """True if the path decides who may pass, so that the same one must be forwarded."""
        return False

    @property
    def leads_to_https(self) -> bool:
        """True if a plain request gets no further than to a redirect to https."""
        return False

    @property
    def looks_at_prefix(self) -> bool:
        """True if it needs to know how much of the path the route's match took."""
        return False

    @property
    def wants_credentials(self) -> bool:
        """True if clients get no further without saying who they are."""
        return False

    @property
    def credential_names(self) -> tuple[str, ...]:
        """The headers and parameters of a query in which clients send it their credentials."""
        return ()

    @property
    def credential_parameters(self) -> tuple[str, ...]:
        """Those of them that are parameters of a query."""
        return ()

    @property
    def wants_certificate(self) -> bool:
        """True if it asks for the certificate of a client's connection."""
        return False

    @property
    def gives_claims(self) -> bool:
        """True if requests that it lets pass have the claims of a token."""
        return False

    @property
    def answers_preflights(self) -> bool:
        """True if it answers the preflights of browsers, which have no credentials."""
        return False

    @property
    def is_of_whole_chain(self) -> bool:
        """True if its place among the other middlewares does not matter to them."""
        return False

    @property
    def upstreams(self) -> tuple[tuple[str, str], ...]:
        """The upstreams that it asks itself: the key of each, and its name."""
        return ()

    def withheld(self, hashed: str) -> str:
        """Returns the key of its options that keeps what a balancer hashes (`header:NAME`,
        `cookie:NAME`) from the upstreams that it asks; empty if they get it.
        """
        return ""

    @property
    def needs_limit_store(self) -> bool:
        """True if it counts in the store of limits across nodes."""
        return False

    @property
    def does(self) -> str:
        """A few words for explanations on what it does with its options; may be empty."""
        return ""

    def lasting(self) -> Self:
        """Returns it without what is renewed from elsewhere while the config stays the same."""
        return self

    def shown(self) -> "Shown | None":
        """Returns which of its texts an explanation shows, and where; None = unknown."""
        return None


class Shown(msgspec.Struct, frozen=True):
    """Texts of a middleware by where they are seen in what it makes of a request."""

    headers: tuple[tuple[str, str], ...] = ()
    """Name of the header and its template."""
    body: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    """Of the path that is forwarded."""
    host: tuple[str, ...] = ()


class MiddlewareNode(Made, PlanNode, frozen=True):
    """The node of a middleware whose fields are absent, empty or false by default."""


class DefaultedMiddlewareNode(Made, DefaultedNode, frozen=True):
    """The node of a middleware with defaults that are values."""


class RegexRewrite(PlanNode, frozen=True, rename={"replacement": "with"}):
    """Replace what `pattern` matches (the whole path) by `replacement`.

    The canonical key is `with`, a keyword of Python's.
    """

    pattern: str
    replacement: str


class PathRewrite(PlanNode, frozen=True):
    """The path's part of a rewrite; exactly one is set."""

    strip_prefix: str | None = None
    prefix: str | None = None
    path: str | None = None
    regex: RegexRewrite | None = None

    def texts(self) -> Iterator[str]:
        """Yields what is written in it."""
        yield from filter(None, (self.strip_prefix, self.prefix, self.path))
        if self.regex is not None:
            yield from (self.regex.pattern, self.regex.replacement)


class Rewrite(MiddlewareNode, frozen=True):
    """Change path and host before forwarding; `host` is a template."""

    path: PathRewrite | None = None
    host: str | None = None

    @property
    def rewrites_path(self) -> bool:
        """True if it changes the path that is forwarded."""
        return self.path is not None

    @property
    def looks_at_prefix(self) -> bool:
        """True if it replaces what the match took."""
        return self.path is not None and self.path.prefix is not None

    def shown(self) -> Shown:
        """Returns the texts of path and host."""
        target = tuple(self.path.texts()) if self.path is not None else ()
        return Shown(target=target, host=(self.host,) if self.host else ())


class Redirect(MiddlewareNode, frozen=True):
    """The target of a redirect; an absent part stays as in the request."""

    status: int
    scheme: str | None = None
    host: str | None = None
    port: int | None = None
    path: str | None = None
    prefix: str | None = None

    @property
    def leads_to_https(self) -> bool:
        """True if its target is https."""
        return self.scheme == "https"

    @property
    def looks_at_prefix(self) -> bool:
        """True if it replaces what the match took."""
        return self.prefix is not None

    def shown(self) -> Shown:
        """Returns the texts of the target."""
        texts = filter(None, (self.host, self.path, self.prefix))
        return Shown(headers=tuple(("location", text) for text in texts))


class HeaderEdits(MiddlewareNode, frozen=True):
    """Header edits, in the order remove, set, add; names lower case, values templates."""

    set: dict[str, str] = msgspec.field(default_factory=dict)
    add: dict[str, str] = msgspec.field(default_factory=dict)
    remove: tuple[str, ...] = ()

    def shown(self) -> Shown:
        """Returns the values of the lines."""
        return Shown(headers=(*self.set.items(), *self.add.items()))


class ResponseEdits(HeaderEdits, frozen=True):
    """Edits of answers. `statuses`: first and last of each range of those that are edited; empty =
    all.
    """

    statuses: tuple[tuple[int, int], ...] = ()


class Respond(DefaultedMiddlewareNode, frozen=True):
    """An answer of our own; `body` and header values are templates."""

    status: int
    body: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict)

    def shown(self) -> Shown:
        """Returns the texts of headers and body."""
        return Shown(headers=tuple(self.headers.items()), body=(self.body,))


class Step(Opaque):
    """A middleware, opaque: its kind and its node."""

    __slots__ = ()

    what = "a middleware"


class Middleware(Step):
    """A named middleware."""

    __slots__ = ()


class MiddlewareUse(Step):
    """A middleware in a chain: named (`use`) or inline."""

    __slots__ = ()

    @property
    def use(self) -> str | None:
        """The name of a middleware; None for one inline."""
        return str(self._node) if self.kind == "use" else None
