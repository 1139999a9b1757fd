"""`[routes.NAME]`: the matches, middlewares and action of a route."""

from collections.abc import Iterator, Set
from typing import Annotated, Literal

from pydantic import Field, Strict

from headgate.features.base import Checked, Options, excluding
from headgate.features.fields import (
    FROM_ENV,
    DurationOrOff,
    Flag,
    HostPattern,
    SizeOrOff,
    at_most,
)
from headgate.features.middleware.redirect.spec import Redirect
from headgate.features.middleware.respond.spec import Respond
from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import listed
from headgate.kernel.units import ByteSize, Duration
from headgate.model.choice import MatchTable, MiddlewareRef
from headgate.model.mirror import Mirrors
from headgate.model.retry import Retry
from headgate.model.route_log import EVERYTHING, RouteAccessLog
from headgate.model.shorthand import ONE_OR_MORE, OR_ITEM
from headgate.model.sticky import Sticky

_ACTIONS = ("upstream", "split", "respond", "redirect")
ACTIONS = (*_ACTIONS, "not_imported")
"""The keys of the action; the last one belongs to imports and is not suggested."""

_ACTION_SET = frozenset(ACTIONS)
_OWN_ANSWERS = frozenset({"respond", "redirect", "not_imported"})
_ONE_ACTION = f"write exactly one of {listed(_ACTIONS)}"


class SplitPart(Options):
    """One share of a split."""

    upstream: str = Field(description="The name of the upstream.")
    weight: Annotated[int, Strict(), Field(ge=0, le=1_000_000), FROM_ENV] = Field(
        default=1,
        description="The share of the requests or connections, relative to the other "
        "weights; 0 = none.",
    )


class RouteTimeouts(Options):
    """The times that a request may take."""

    request: DurationOrOff = Field(
        default=Duration(0),
        description="How long a request may take, from its head to the last byte of the response, "
        "without the time in which a middleware lets it wait; the timeout ends at an upgrade.",
    )
    per_try: DurationOrOff = Field(
        default=Duration(0),
        description="How long one try at one endpoint may take, up to the head of the response.",
    )
    body: DurationOrOff = Field(
        default=Duration(30_000),
        description="How far a request body may fall behind `limits.body_rate`, and how long the "
        "client may send nothing of it. Time in which the upstream takes nothing does not count.",
    )
    first_byte: DurationOrOff = Field(
        default=Duration(60_000),
        description="How long the first byte of the response may take after the last byte of the "
        "request.",
    )
    stream_idle: DurationOrOff = Field(
        default=Duration(300_000),
        description="How long a request may go without a byte in either direction.",
    )


_TOO_MUCH = "is more than is collected"


class RouteLimits(Options):
    """The limits on what requests of a route may take."""

    body: SizeOrOff | None = Field(
        default=None, description="The largest request body; absent = the listener's limit."
    )
    body_rate: SizeOrOff = Field(
        default=ByteSize(500),
        description="The bytes of a request body that a client must send per second. A body that "
        "falls further behind than `timeouts.body` allows gets 408.",
    )
    body_buffer: Annotated[SizeOrOff, at_most(ByteSize.parse("1MiB"), _TOO_MUCH)] = Field(
        default=ByteSize(0),
        description="The node collects request bodies up to this size, at most 1 MiB, before it "
        "asks the upstream. It passes on larger bodies as they come.",
    )
    response_buffer: Annotated[SizeOrOff, at_most(ByteSize.parse("16MiB"), _TOO_MUCH)] = Field(
        default=ByteSize(0),
        description="How many bytes of a response, at most 16 MiB, the node collects for a client "
        "that reads slowly, so that the endpoint is done sooner. Bytes that the client reads pass "
        "at once.",
    )


class Route(Checked):
    """An HTTP route."""

    hosts: Annotated[list[HostPattern], Field(min_length=1), ONE_OR_MORE, OR_ITEM] = Field(
        default=["*"],
        description='The hosts of the route, one or several: `"a.example"`, `"*.example"` or '
        '`"*"`.',
    )
    listeners: Annotated[list[str], Field(min_length=1), ONE_OR_MORE, OR_ITEM] | None = Field(
        default=None,
        description="The listeners of the route; absent = every listener with `default = true`.",
    )
    match: Annotated[list[MatchTable], ONE_OR_MORE, OR_ITEM] = Field(
        default_factory=list,
        description="The route takes a request if any of these matches holds; empty = it takes "
        "every request.",
    )
    priority: Annotated[int, Strict(), Field(ge=-1_000_000, le=1_000_000), FROM_ENV] = Field(
        default=0, description="Within one host, routes with a higher priority are tried first."
    )
    middlewares: list[MiddlewareRef] = Field(
        default_factory=list,
        description="Middlewares of the route, by name or inline; they run in order, after "
        "those of the host.",
    )
    upstream: str | None = Field(default=None, description="Forward to this upstream.")
    split: Annotated[list[SplitPart], Field(min_length=1)] | None = Field(
        default=None, description="Forward to one of several upstreams, chosen by weight."
    )
    sticky: Sticky | None = Field(
        default=None,
        description="What keeps a client at its branch of the split; absent = a branch is chosen "
        "for each request separately.",
    )
    mirror: Mirrors = Field(
        default_factory=list,
        description="An upstream, or a list of up to 4, that gets copies of some requests; the "
        "responses to the copies are discarded.",
    )
    respond: Respond | None = Field(default=None, description="Answer without asking an upstream.")
    redirect: Redirect | None = Field(default=None, description="Answer with a redirect.")
    timeouts: RouteTimeouts = Field(
        default=RouteTimeouts(), description="How long a request may take."
    )
    retry: Retry | None = Field(
        default=None,
        description="When a request whose try failed is tried again. Absent = only if no "
        "connection could be made, at other endpoints.",
    )
    importance: Literal["low", "normal", "high"] = Field(
        default="normal",
        description="How much the route's requests matter while the node has too much to do "
        "(`node.shedding`): those of low importance are refused first, those of high importance "
        "last.",
    )
    access_log: RouteAccessLog = Field(
        default=EVERYTHING,
        description="The route's requests that are in the access log: `true` for all, `false` for "
        "none, a percentage of them, 1 to 100, or a table; with a percentage, all requests with an "
        "error (500 and above) are logged.",
        json_schema_extra={"default": True},
    )
    tracing: Flag = Field(
        default=True,
        description="Whether the route's requests take part in traces, if `node.tracing` is set; "
        "otherwise their trace headers pass untouched.",
    )
    limits: RouteLimits | None = Field(default=None, description="Limits on a request.")
    forward_path: Literal["normalised", "raw"] = Field(
        default="normalised",
        description="Which path is forwarded: the normalised path, or the path as the client "
        "sent it.",
    )
    websocket: Flag = Field(default=True, description="Whether WebSocket upgrades are forwarded.")
    not_imported: Annotated[str, Strict(), Field(min_length=1, max_length=1000)] | None = Field(
        default=None,
        description="Refuse requests with status 503 and the reason `not-imported`. An import "
        "writes such a route for each location that it cannot express; the text names the location "
        "and the reason.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error unless the route does exactly one thing with a request."""
        given = _ACTION_SET & (self.__pydantic_fields_set__ | wrong)
        if len(given) > 1:
            yield excluding([a for a in ACTIONS if a in given], _ONE_ACTION)
        elif not given and self.may_lack(wrong):
            yield Invalid("the route does not say what to do with a request", _ONE_ACTION)
        if "retry" in self.model_fields_set and given & _OWN_ANSWERS:
            yield Invalid(
                "the route answers by itself, so there is nothing to try again",
                "leave `retry` out",
                at=("retry",),
            )
        if "mirror" in self.model_fields_set and given & _OWN_ANSWERS:
            yield Invalid(
                "the route answers by itself, so there is nothing to mirror",
                "leave `mirror` out",
                at=("mirror",),
            )
        if "sticky" in self.model_fields_set and "split" not in given and self.may_lack(wrong):
            yield Invalid(
                "the route has no split whose branches clients could stay at",
                "leave `sticky` out, or write `split`",
                at=("sticky",),
            )
        if self.split is not None and not any(part.weight for part in self.split):
            yield Invalid(
                "every weight of the split is 0", "write at least one above 0", at=("split",)
            )
