"""The plan's middlewares; the mirror of hg-plan's `objects.rs`."""

import msgspec

from headgate.plan.node import DefaultedNode, PlanNode


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


class Rewrite(PlanNode, frozen=True):
    """Change path and host before forwarding; `host` is a template."""

    path: PathRewrite | None = None
    host: str | None = None


class Redirect(PlanNode, frozen=True):
    """The target of a redirect; an absent part stays as in the request."""

    status: int
    scheme: str | None = None
    host: str | None = None
    port: int | None = None
    path: str | None = None
    prefix: str | None = None


class HeaderEdits(PlanNode, frozen=True):
    """Header edits, in the order remove, set, add; names lower case, values templates."""

    set: dict[str, str] = msgspec.field(default_factory=dict)
    add: dict[str, str] = msgspec.field(default_factory=dict)
    remove: tuple[str, ...] = ()


class Respond(DefaultedNode, frozen=True):
    """An answer of our own; `body` and header values are templates."""

    status: int
    body: str = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class Middleware(PlanNode, frozen=True):
    """A named middleware; exactly one is set."""

    rewrite: Rewrite | None = None
    redirect: Redirect | None = None
    request_headers: HeaderEdits | None = None
    response_headers: HeaderEdits | None = None
    respond: Respond | None = None


class MiddlewareUse(PlanNode, frozen=True):
    """A middleware in a chain: named (`use`) or inline; exactly one is set."""

    use: str | None = None
    rewrite: Rewrite | None = None
    redirect: Redirect | None = None
    request_headers: HeaderEdits | None = None
    response_headers: HeaderEdits | None = None
    respond: Respond | None = None
