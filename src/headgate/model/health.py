"""`health_check` of an upstream: how its endpoints are checked."""

import re
from collections.abc import Iterator, Mapping, Set
from typing import Annotated, Final, Literal, cast

from pydantic import Field, PlainValidator, Strict, ValidationInfo, WithJsonSchema

from headgate.features import syntax
from headgate.features.base import Checked
from headgate.features.fields import (
    FROM_ENV,
    CountOrOff,
    DurationText,
    Method,
    PercentOrOff,
    number,
    parsed,
    truth,
)
from headgate.features.values import (
    DISTINCT_HEADERS,
    FILE_SCHEMA,
    EditedName,
    Secrets,
    named_file,
)
from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import listed
from headgate.kernel.units import Duration
from headgate.model.sent import Expectation, SentBytes

_TARGET: Final = re.compile(r"/[!-~]*")
_TARGET_ALLOWED: Final = 'write a path such as "/health", with a query if it needs one'
_SHORTEST_MS: Final = 1_000
_LONGEST_MS: Final = 60_000
_MOST_DEVIATIONS: Final = 10
_ALL: Final = 100
_DEVIATION_ALLOWED: Final = f'write a number from 0.1 to {_MOST_DEVIATIONS}, such as 1.9, or "off"'
_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "failure_percent": ("failure_requests",),
    "success_rate_deviation": ("success_rate_endpoints", "success_rate_requests"),
}
"""Keys of outlier detection that do nothing where another one is off."""
_SERVICE: Final = re.compile(r"[!-~]{0,255}")
_SERVICE_ALLOWED: Final = 'write the full name of a service, such as "shop.v1.Orders"'
_STATUS: Final = re.compile(r"([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?")
_STATUS_ALLOWED: Final = 'write a status such as 200, or a range such as "200-399"'
_VALUE: Final = re.compile(r"[\t -~]*")
_KEYS: Final = (
    *("path", "method", "host", "headers", "statuses", "body", "service"),
    *("send", "expect"),
)
_OF_BYTES: Final = frozenset({"send", "expect"})
_OF_PROTOCOL: Final[Mapping[str, frozenset[str]]] = {
    "http": frozenset(_KEYS) - {"service"} - _OF_BYTES,
    "grpc": frozenset({"host", "service"}),
    "tcp": _OF_BYTES,
    "udp": _OF_BYTES,
}
_SENDS: Final[Mapping[str, str]] = {
    "http": "sends a request of HTTP",
    "grpc": "calls grpc.health.v1.Health",
    "tcp": "sends no request of HTTP",
    "udp": "sends a datagram",
}
"""The action of a check by each protocol, for messages about keys that do nothing."""


def _target(text: str) -> str:
    if not _TARGET.fullmatch(text):
        raise Invalid(f"{syntax.described(text)} is not a path", _TARGET_ALLOWED)
    return text


def _service(text: str) -> str:
    if not _SERVICE.fullmatch(text):
        raise Invalid(f"{syntax.described(text)} is not a service", _SERVICE_ALLOWED)
    return text


def _deviation(value: object) -> float:
    if value == "off":
        return 0
    given = number(value)
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise Invalid(f"{syntax.described(value)} is not a number", _DEVIATION_ALLOWED)
    if not 0.1 <= given <= _MOST_DEVIATIONS:  # noqa: PLR2004 - the least that is told
        raise Invalid(f"{given} is out of range", _DEVIATION_ALLOWED)
    return float(given)


def _statuses(value: object) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = _STATUS.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise Invalid(f"{syntax.described(value)} is not a status", _STATUS_ALLOWED)
    if found[2] and found[2] < found[1]:
        raise Invalid(f'"{text}" ends before it begins', _STATUS_ALLOWED)
    return found[0]


def _line(value: object, info: ValidationInfo) -> str:
    if (path := named_file(value)) is not None:
        context = cast(Secrets, info.context)
        text = context.secret(path)
        context.hide(text)
        shown = "the text of the file"
    elif isinstance(value, str):
        text, shown = value, syntax.described(value)
    else:
        shown = syntax.described(value)
        raise Invalid(f"{shown} is not a header's value", 'write text, or { file = "…" }')
    if not _VALUE.fullmatch(text):
        raise Invalid(f"{shown} is not a header's value", "write one line of ASCII text")
    return text


def _enforced(value: object) -> int:
    """Returns a percentage; a truth value is all or nothing."""
    given = number(truth(value))
    if isinstance(given, bool):
        return _ALL if given else 0
    if isinstance(given, int) and 0 <= given <= _ALL:
        return given
    raise Invalid(
        f"{syntax.described(value)} is not a share",
        f"write true, false, or a percentage from 0 to {_ALL}",
    )


CheckPath = Annotated[
    str,
    parsed(_target, "a path", _TARGET_ALLOWED),
    WithJsonSchema({"type": "string", "pattern": "^/[!-~]*$"}),
]
StatusRange = Annotated[
    str,
    PlainValidator(_statuses),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 100, "maximum": 599},
                {"type": "string", "pattern": "^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$"},
            ]
        }
    ),
]
Authority = Annotated[
    str,
    parsed(syntax.authority, "a host", syntax.HOST_NAME_ALLOWED),
    WithJsonSchema({"type": "string", "format": "host"}),
]
CheckValue = Annotated[
    str, PlainValidator(_line), WithJsonSchema({"anyOf": [{"type": "string"}, FILE_SCHEMA]})
]
ServiceName = Annotated[
    str,
    parsed(_service, "a service", _SERVICE_ALLOWED),
    WithJsonSchema({"type": "string", "pattern": "^[!-~]{0,255}$"}),
]
Requests = Annotated[int, Strict(), Field(ge=1, le=1_000_000), FROM_ENV]
Deviation = Annotated[
    float,
    PlainValidator(_deviation),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0.1, "maximum": 10}, {"const": "off"}]}
    ),
]
Enforced = Annotated[
    int,
    PlainValidator(_enforced),
    WithJsonSchema(
        {"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": 100}]}
    ),
]
Count = Annotated[int, Strict(), Field(ge=1, le=100), FROM_ENV]


class OutlierDetection(Checked):
    """The conditions under which an endpoint is ejected because of the requests that it serves."""

    consecutive_5xx: CountOrOff = Field(
        default=5, description="Eject after this many responses in a row with any 5xx."
    )
    consecutive_gateway: CountOrOff = Field(
        default=5, description="Eject after this many responses in a row with 502, 503 or 504."
    )
    consecutive_local: CountOrOff = Field(
        default=5,
        description="Eject after this many requests in a row that got no response: no connection, "
        "no response in time, or a broken one.",
    )
    failure_percent: PercentOrOff = Field(
        default=50,
        description="Eject once this percentage of the requests in `window` failed; a response "
        "with 429 counts as failed here. This judges a single endpoint, too.",
    )
    failure_requests: Requests = Field(
        default=20,
        description="The fewest requests in `window` for which the percentage is computed.",
    )
    success_rate_deviation: Deviation = Field(
        default=1.9,
        description="Eject once the success rate in `window` is this many standard deviations "
        "below the mean of the endpoints.",
    )
    success_rate_endpoints: Annotated[int, Strict(), Field(ge=2, le=10_000), FROM_ENV] = Field(
        default=5,
        description="The fewest endpoints with enough requests for which the mean is computed.",
    )
    success_rate_requests: Requests = Field(
        default=100, description="How many requests in `window` are enough for the mean."
    )
    window: DurationText = Field(
        default=Duration(60_000),
        description="The time over which percentages and success rates are counted, 1 to 60 "
        "seconds; a fraction of a second counts as a whole one.",
    )
    ejection: DurationText = Field(
        default=Duration(30_000),
        description="How long the first ejection lasts; the second in a row lasts twice as long, "
        "the third three times. Up to 10 % is added. Then one request probes the endpoint.",
    )
    max_ejection: DurationText = Field(
        default=Duration(300_000), description="The longest ejection."
    )
    max_ejected: Annotated[int, Strict(), Field(ge=1, le=100), FROM_ENV] = Field(
        default=50,
        description="The largest percentage of the endpoints that may be ejected at once. The last "
        "usable one never is.",
    )
    enforce: Enforced = Field(
        default=100,
        description="Whether endpoints are ejected, or in what percentage of the cases. `false`, "
        "which is 0, only reports in events, metrics and `/health` which endpoints would be "
        "ejected; `true` is 100. With 1 to 99, the cases that count are chosen at random.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields errors for keys that do nothing together."""
        ejectors = (
            *("consecutive_5xx", "consecutive_gateway", "consecutive_local"),
            *("failure_percent", "success_rate_deviation"),
        )
        if not wrong & set(ejectors) and not any(getattr(self, key) for key in ejectors):
            yield Invalid(
                "nothing ejects an endpoint", f"give a number to one of {listed(ejectors)}"
            )
        if not _SHORTEST_MS <= self.window.ms <= _LONGEST_MS and "window" not in wrong:
            yield Invalid(
                f'"{self.window}" is not a window', 'write 1 to 60 seconds: "10s"', at=("window",)
            )
        yield from self._useless(wrong)
        if self.max_ejection.ms < self.ejection.ms and not {"ejection", "max_ejection"} & wrong:
            yield Invalid(
                "the longest ejection is shorter than the first",
                "write a longer `max_ejection` or a shorter `ejection`",
                at=("max_ejection",) if "max_ejection" in self.model_fields_set else ("ejection",),
            )

    def _useless(self, wrong: Set[str]) -> Iterator[Invalid]:
        given = self.model_fields_set | wrong
        for needed, keys in _NEEDS.items():
            useless = [key for key in keys if key in given]
            if useless and not getattr(self, needed) and needed not in wrong:
                yield Invalid(
                    f"`{useless[0]}` does nothing without `{needed}`",
                    f"leave it out, or give a number to `{needed}`",
                    at=(useless[0],),
                )


class HealthCheck(Checked):
    """The checks of the endpoints of an upstream, besides the requests that they serve."""

    protocol: Literal["http", "tcp", "udp", "grpc"] = Field(
        default="http",
        description="`http` sends a request, in the version of HTTP that the upstream speaks; "
        "`grpc` calls the gRPC health service (grpc.health.v1) and passes if that says SERVING; "
        "`tcp` opens a connection, and compares a response if `send` or `expect` is given; `udp` "
        "sends a datagram, `send`, and waits for a response. If the upstream has `tls`, all but "
        "`udp` do the TLS handshake. After a handshake of TLS 1.3, a check that only opens a "
        "connection waits up to half a second for the endpoint, which may still refuse the client "
        "certificate.",
    )
    service: ServiceName = Field(
        default="",
        description="The service that a `grpc` check asks about; absent = the server as a whole.",
    )
    path: CheckPath = Field(default="/", description="The path of the request.")
    method: Method = Field(default="GET", description="The method of the request.")
    host: Authority | None = Field(
        default=None, description="The `Host` of the request; absent = the endpoint's address."
    )
    headers: Annotated[dict[EditedName, CheckValue], DISTINCT_HEADERS] = Field(
        default_factory=dict, description="Further headers of the request."
    )
    statuses: Annotated[list[StatusRange], Field(min_length=1)] = Field(
        default=["200-399"],
        description="The statuses that pass: numbers such as `204`, and ranges such as "
        '`"200-399"`.',
    )
    body: Annotated[str, Strict(), Field(min_length=1, max_length=1024)] | None = Field(
        default=None,
        description="A text that the body of the response must contain in its first 64 KiB.",
    )
    send: SentBytes | None = Field(
        default=None,
        description="What a `tcp` or `udp` check sends: text, or any bytes, or the text of a "
        "`file` as it is, which keeps it secret. Absent = nothing, which `udp` does not allow.",
    )
    expect: Expectation | None = Field(
        default=None,
        description="What the response to a `tcp` or `udp` check must be. Absent = any response "
        "passes if something is sent; otherwise the connection alone passes.",
    )
    interval: DurationText = Field(
        default=Duration(5_000),
        description="The time from the start of one check to the next. Each is up to 10 % "
        "earlier or later.",
    )
    timeout: DurationText = Field(
        default=Duration(2_000),
        description="How long one check may take, from the connection to the response.",
    )
    fast_interval: DurationText = Field(
        default=Duration(1_000),
        description="The `interval` that applies while results contradict the state of the "
        "endpoint; if it is longer than `interval`, `interval` applies.",
    )
    max_interval: DurationText = Field(
        default=Duration(30_000),
        description="While an endpoint is down, the time between its checks doubles up to this.",
    )
    healthy: Count = Field(
        default=2, description="How many checks in a row must pass before the endpoint is up again."
    )
    unhealthy: Count = Field(
        default=3, description="How many checks in a row must fail before the endpoint is down."
    )

    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Returns first and last status of each range that passes."""
        ends = (one.partition("-") for one in self.statuses)
        return tuple((int(first), int(last or first)) for first, _, last in ends)

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields errors for keys that do nothing together."""
        given = self.model_fields_set | wrong
        if "protocol" not in wrong:
            own = _OF_PROTOCOL[self.protocol]
            useless = [key for key in _KEYS if key in given and key not in own]
            if useless:
                other = "grpc" if useless == ["service"] else "http"
                other = "tcp" if _OF_BYTES.issuperset(useless) else other
                yield Invalid(
                    f"a check by {self.protocol} {_SENDS[self.protocol]}, so "
                    f"{listed(useless, joined='and')} does nothing",
                    f'leave it out, or write protocol = "{other}"',
                    at=(useless[0],),
                )
            if self.protocol == "udp" and "send" not in given:
                yield Invalid(
                    "a check by udp has nothing to send",
                    'write `send`, such as "ping", or { hex = "…" } for other bytes than text',
                    at=("protocol",),
                )
        if self.timeout.ms > self.interval.ms and not {"timeout", "interval"} & wrong:
            yield Invalid(
                "the timeout is longer than the interval, which is from start to start",
                "write a shorter `timeout` or a longer `interval`",
                at=("timeout",),
            )
        if self.method == "HEAD" and self.body is not None:
            yield Invalid(
                "an answer to HEAD has no body",
                "write another `method`, or leave `body` out",
                at=("body",),
            )
        if "host" in self.headers:
            yield Invalid(
                '"host" is not among the headers', "write the key `host`", at=("headers", "host")
            )
