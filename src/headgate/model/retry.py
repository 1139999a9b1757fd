"""`retry` of a route: when a request whose try failed is tried again."""

import re
from collections.abc import Iterator, Set
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, PlainValidator, Strict, WithJsonSchema

from headgate.features import syntax
from headgate.features.base import Checked
from headgate.features.fields import (
    DURATION_PATTERN,
    FROM_ENV,
    CountOrOff,
    DurationText,
    PercentOrOff,
    number,
)
from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import listed, nearest
from headgate.kernel.units import Duration
from headgate.model.shorthand import ONE_OR_MORE, OR_ITEM

ALWAYS: Final = ("connect-failure", "refused-stream")
"""The failures that are retried whatever `on` says: the endpoint certainly processed nothing."""

_WORDS: Final = (*ALWAYS, "reset", "timeout", "gateway-error", "5xx")
_CODES: Final = (
    "grpc-cancelled",
    "grpc-unknown",
    "grpc-invalid-argument",
    "grpc-deadline-exceeded",
    "grpc-not-found",
    "grpc-already-exists",
    "grpc-permission-denied",
    "grpc-resource-exhausted",
    "grpc-failed-precondition",
    "grpc-aborted",
    "grpc-out-of-range",
    "grpc-unimplemented",
    "grpc-internal",
    "grpc-unavailable",
    "grpc-data-loss",
    "grpc-unauthenticated",
)
_ON_ALLOWED: Final = (
    f"write {listed(_WORDS, joined='or')}, a status from 400 to 599, or a code of gRPC such as "
    "grpc-unavailable"
)
_STATUS: Final = re.compile(r"[45][0-9][0-9]")
_METHODS: Final = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "POST", "PATCH")
_METHODS_ALLOWED: Final = 'write "idempotent", "all", or a list such as ["GET", "POST"]'
_MOST_FACTOR: Final = 10
Class = Literal["idempotent", "all"]
"""Methods by what repeating them does."""
_LONGEST: Final = Duration(300_000)


def _condition(value: object) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and (text in (*_WORDS, *_CODES) or _STATUS.fullmatch(text)):
        return text
    near = nearest(text, (*_WORDS, *_CODES)) if isinstance(text, str) else None
    allowed = f'write "{near}"' if near else _ON_ALLOWED
    raise Invalid(f"{syntax.described(value)} is no reason to try again", allowed)


def _methods(value: object) -> Class | tuple[str, ...]:
    if value == "idempotent":
        return "idempotent"
    if value == "all":
        return "all"
    if not isinstance(value, list) or not value:
        raise Invalid(f"{syntax.described(value)} does not say which methods", _METHODS_ALLOWED)
    for index, one in enumerate(value):
        if one not in _METHODS:
            raise Invalid(
                f"{syntax.described(one)} is not a method that can be repeated",
                f"write one of {listed(_METHODS)}",
                at=(index,),
            )
    return tuple(sorted(set(value)))


def _factor(value: object) -> float:
    given = number(value)
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise Invalid(f"{syntax.described(value)} is not a factor", _FACTOR_ALLOWED)
    if not 1 <= given <= _MOST_FACTOR:
        raise Invalid(f"{given} is out of range", _FACTOR_ALLOWED)
    return float(given)


_FACTOR_ALLOWED: Final = f"write a number from 1 to {_MOST_FACTOR}, such as 2 or 1.5"


def _bounded(wait: Duration) -> Duration:
    if wait > _LONGEST:
        raise Invalid(f'"{wait}" is longer than a back-off may be', f'write at most "{_LONGEST}"')
    return wait


Condition = Annotated[
    str,
    PlainValidator(_condition),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": [*_WORDS, *_CODES]},
                {"type": "integer", "minimum": 400, "maximum": 599},
                {"type": "string", "pattern": "^[45][0-9][0-9]$"},
            ]
        }
    ),
]
Methods = Annotated[
    Class | tuple[str, ...],
    PlainValidator(_methods),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["idempotent", "all"]},
                {"type": "array", "items": {"enum": list(_METHODS)}, "minItems": 1},
            ]
        }
    ),
]
Factor = Annotated[
    float,
    PlainValidator(_factor),
    WithJsonSchema({"type": "number", "minimum": 1, "maximum": _MOST_FACTOR}),
]
Wait = Annotated[DurationText, AfterValidator(_bounded)]


class RetryBackoff(Checked):
    """The wait before a retry."""

    base: Wait = Field(default=Duration(25), description="The longest wait before the first retry.")
    factor: Factor = Field(
        default=2,
        description="The factor by which the longest wait grows before each further retry.",
    )
    max: Wait = Field(default=Duration(250), description="The longest wait, at most 5 minutes.")
    jitter: Literal["full", "none"] = Field(
        default="full",
        description="`full` chooses each wait at random between zero and the longest one, so that "
        "clients do not come back together; `none` always waits for the longest one.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error if the longest wait is shorter than the first."""
        if self.max < self.base and not {"base", "max"} & wrong:
            yield Invalid(
                "the longest wait is shorter than the first",
                "write a longer `max` or a shorter `base`",
                at=("max",) if "max" in self.model_fields_set else ("base",),
            )


class RetryBudget(Checked):
    """The number of retries that all requests together may cause."""

    percent: PercentOrOff = Field(
        default=20,
        description="The retries allowed for every hundred requests that an upstream got in the "
        "last ten seconds.",
    )
    per_second: CountOrOff = Field(
        default=3,
        description="The retries per second that are allowed in addition, so that an upstream with "
        "little traffic has some. The workers share them.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error if nothing is allowed."""
        if not wrong and not self.percent and not self.per_second:
            yield Invalid("a budget of nothing allows no retry", "give one of the two a number")


def _after(value: object) -> Duration:
    if type(value) is Duration:
        return value
    if value == "p95":
        return Duration(0)
    if not isinstance(value, str):
        raise Invalid(f"{syntax.described(value)} is not a duration", _AFTER_ALLOWED)
    try:
        after = Duration.parse(value)
    except Invalid as wrong:
        raise Invalid(wrong.what, _AFTER_ALLOWED) from None
    if after.ms == 0:
        raise Invalid(f'"{value}" is a duration of zero', _AFTER_ALLOWED)
    return after


_AFTER_ALLOWED: Final = 'write "p95", or a number and a unit: "50ms", "2s"'

After = Annotated[
    Duration,
    PlainValidator(_after),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "p95"},
                {"type": "string", "pattern": DURATION_PATTERN, "format": "duration"},
            ]
        }
    ),
]


class RetryHedge(Checked):
    """A second try that begins beside a first one that takes long."""

    after: After = Field(
        default=Duration(0),
        description="How long the first try has waited for its response: a duration, or `p95`, the "
        "time in which 95 of 100 responses of the route come; each worker learns that from its "
        "first 50.",
        json_schema_extra={"default": "p95"},
    )


class Retry(Checked):
    """The retries of requests whose try failed.

    A retry goes to another endpoint than the last one if another is usable, and only happens while
    nothing of an answer went out, the client waits, and the body is held: up to 64 KiB of it are.
    """

    retries: Annotated[int, Strict(), Field(ge=1, le=10), FROM_ENV] = Field(
        default=2, description="The most retries of one request; its first try does not count."
    )
    on: Annotated[list[Condition], ONE_OR_MORE, OR_ITEM] = Field(
        default_factory=list,
        description="The failures after which a request is tried again. `connect-failure` (no "
        "endpoint could be connected to) and `refused-stream` always count; `reset`: the "
        "connection ended, or what came was not a response; `timeout`: no response within "
        "`timeouts.per_try` or `timeouts.first_byte`; `gateway-error`: 502, 503 or 504; `5xx`; or "
        "a status from 400 to 599. gRPC calls are tried again after a response with one of the "
        "gRPC codes given here, such as `grpc-unavailable`, whatever `methods` says, unless a "
        "message of the response has arrived.",
    )
    methods: Methods = Field(
        default="idempotent",
        description="Which requests are sent again even if the endpoint may have processed them: "
        "`idempotent` (GET, HEAD, PUT, DELETE, OPTIONS), `all`, or a list of methods.",
    )
    backoff: RetryBackoff = Field(
        default=RetryBackoff(),
        description="How long to wait before each retry. A longer `Retry-After` of the response is "
        "honoured if the request has the time; otherwise the response is passed on.",
    )
    budget: RetryBudget = Field(
        default=RetryBudget(),
        description="How many retries an upstream gets for all requests together, so that retries "
        "do not bring down an overloaded upstream.",
    )
    hedge: RetryHedge | None = Field(
        default=None,
        description="When an idempotent request is sent to a second endpoint because the first has "
        "not answered; the first acceptable response counts. A hedge counts as a retry, also for "
        "the budget. Only for upstreams that speak HTTP/1.1. Absent = never.",
    )
