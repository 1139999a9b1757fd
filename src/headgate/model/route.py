"""`[routes.NAME]`: matches, middlewares, and what becomes of a request."""

from collections.abc import Iterator, Set
from typing import Annotated, Literal

from pydantic import Field, Strict

from headgate.features.base import Checked, Options, excluding
from headgate.features.fields import FROM_ENV, DurationOrOff, Flag, HostPattern, SizeOrOff
from headgate.features.middleware.redirect.spec import Redirect
from headgate.features.middleware.respond.spec import Respond
from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import listed
from headgate.kernel.units import Duration
from headgate.model.choice import MatchTable, MiddlewareRef
from headgate.model.shorthand import ONE_OR_MORE, OR_ITEM

_ACTIONS = ("upstream", "split", "respond", "redirect")
ACTIONS = (*_ACTIONS, "not_imported")
"""The keys that say what becomes of a request; the last is an import's, and is not suggested."""

_ACTION_SET = frozenset(ACTIONS)
_ONE_ACTION = f"write exactly one of {listed(_ACTIONS)}"


class SplitPart(Options):
    """One share of a split."""

    upstream: str = Field(description="Name of the upstream.")
    weight: Annotated[int, Strict(), Field(ge=0, le=1_000_000), FROM_ENV] = Field(
        default=1, description="Share of the requests, relative to the others; 0 = none."
    )


class RouteTimeouts(Options):
    """How long a request may take."""

    request: DurationOrOff = Field(
        default=Duration(0),
        description="From the request's head to the answer's last byte; stops counting at an "
        "upgrade.",
    )
    per_try: DurationOrOff = Field(
        default=Duration(0), description="One attempt at one endpoint, up to the answer's head."
    )
    first_byte: DurationOrOff = Field(
        default=Duration(60_000), description="From the request's last byte to the answer's first."
    )
    stream_idle: DurationOrOff = Field(
        default=Duration(300_000), description="Nothing moved in either direction."
    )


class RouteLimits(Options):
    """What requests of a route may take."""

    body: SizeOrOff = Field(description="Bytes of one request body; absent = the listener's.")


class Route(Checked):
    """An HTTP route."""

    hosts: Annotated[list[HostPattern], Field(min_length=1), ONE_OR_MORE, OR_ITEM] = Field(
        default=["*"], description='Hosts: `"a.example"`, `"*.example"` or `"*"`; one or several.'
    )
    listeners: Annotated[list[str], Field(min_length=1), ONE_OR_MORE, OR_ITEM] | None = Field(
        default=None, description="Listeners it is attached to; absent = the default ones."
    )
    match: Annotated[list[MatchTable], ONE_OR_MORE, OR_ITEM] = Field(
        default_factory=list, description="Any of these; none = every request."
    )
    priority: Annotated[int, Strict(), Field(ge=-1_000_000, le=1_000_000), FROM_ENV] = Field(
        default=0, description="Higher first, within one host."
    )
    middlewares: list[MiddlewareRef] = Field(
        default_factory=list, description="After the host's own, in order; names or inline."
    )
    upstream: str | None = Field(default=None, description="Forward to this upstream.")
    split: Annotated[list[SplitPart], Field(min_length=1)] | None = Field(
        default=None, description="Forward to one of several upstreams, by weight."
    )
    respond: Respond | None = Field(default=None, description="Answer without asking an upstream.")
    redirect: Redirect | None = Field(default=None, description="Answer with a redirect.")
    timeouts: RouteTimeouts = Field(
        default=RouteTimeouts(), description="How long a request may take."
    )
    limits: RouteLimits | None = Field(default=None, description="What a request may take.")
    forward_path: Literal["normalised", "raw"] = Field(
        default="normalised", description="The path that is forwarded: normalised, or as it came."
    )
    websocket: Flag = Field(default=True, description="Whether WebSocket upgrades are let through.")
    not_imported: Annotated[str, Strict(), Field(min_length=1, max_length=1000)] | None = Field(
        default=None,
        description="Refuse with 503 and the reason `not-imported`: the route stands for a place "
        "of an imported config that has no counterpart here. The text says which place and why.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """A route does exactly one thing with a request."""
        given = _ACTION_SET & (self.__pydantic_fields_set__ | wrong)
        if len(given) > 1:
            yield excluding([a for a in ACTIONS if a in given], _ONE_ACTION)
        elif not given and self.may_lack(wrong):
            yield Invalid("the route does not say what to do with a request", _ONE_ACTION)
        if self.split is not None and not any(part.weight for part in self.split):
            yield Invalid(
                "every weight of the split is 0", "write at least one above 0", at=("split",)
            )
