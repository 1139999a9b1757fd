"""`[node]`: settings of the whole node.

Some go to the data plane with the plan (log level, access log, limits, drain, resolver), the
others stay with the control process and the supervisor (`AdminSettings`).
"""

import re
from collections.abc import Iterator, Set
from typing import Annotated, Final, Literal, cast, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    Strict,
    ValidationInfo,
    WithJsonSchema,
)

from headgate.features import syntax
from headgate.features.base import Checked, Options
from headgate.features.fields import (
    FROM_ENV,
    CountOrOff,
    DurationOrOff,
    DurationText,
    Flag,
    ListenAddress,
    SizeOrOff,
    number,
)
from headgate.features.values import FILE_SCHEMA, Secrets, named_file
from headgate.kernel.errors import Invalid
from headgate.kernel.units import ByteSize, Duration
from headgate.model.access_log import (
    MOST_PARAMETERS,
    REDACTED,
    AccessLog,
    LogFormat,
    Parameter,
    read_log,
)
from headgate.model.instance import Identity
from headgate.model.latency_buckets import DEFAULT as BUCKETS
from headgate.model.latency_buckets import LatencyBuckets
from headgate.model.limit_store import LimitStore
from headgate.model.nginx import Nginx
from headgate.model.shorthand import ONE_OR_MORE, OR_ITEM, OrWord
from headgate.model.tracing import Tracing

LogLevel = Literal["error", "warn", "info", "debug"]
Engine = Literal["native", "nginx"]
DEFAULT_ADMIN = "127.0.0.1:9090"


class NodeLimits(Options):
    """The limits on what clients may take of the whole node."""

    connections: Annotated[int, Strict(), Field(ge=1, le=10_000_000), FROM_ENV] = Field(
        default=20_000,
        description="The most client connections open at once; further ones are closed.",
    )
    connections_per_client: CountOrOff = Field(
        default=0,
        description="The most client connections open at once from one address; those that were "
        "open before there was a limit do not count.",
    )


class Drain(Options):
    """The times of a drain."""

    delay: DurationText = Field(
        default=Duration(5_000),
        description="How long the node reports not ready and still accepts connections.",
    )
    idle_grace: DurationText = Field(
        default=Duration(1_000),
        description="How long idle connections stay open after the listeners are closed.",
    )
    deadline: DurationText = Field(
        default=Duration(30_000),
        description="The time from the start of the drain after which the remaining connections "
        "are cut.",
    )


class Resolver(Options):
    """The settings for resolving names of endpoints."""

    servers: list[ListenAddress] = Field(
        default_factory=list,
        description="Name servers as address and port; empty = those of the system.",
    )
    min_ttl: DurationText = Field(
        default=Duration(1_000), description="The shortest time between two lookups of a name."
    )
    max_ttl: DurationText = Field(
        default=Duration(60_000), description="The longest time for which an answer is used."
    )
    timeout: DurationText = Field(
        default=Duration(5_000), description="How long one lookup may take."
    )


_LIMIT: Final = 100
_MOST: Final = 10_000


def _below(percent: int) -> int:
    if percent >= _LIMIT:
        raise Invalid(f"{percent} percent is not below the limit", 'write 1 to 99, or "off"')
    return percent


def _above(percent: int) -> int:
    if percent and not _LIMIT < percent <= _MOST:
        raise Invalid(
            f"{percent} percent is not above the limit", f'write 101 to {_MOST}, or "off"'
        )
    return percent


def _percent(least: int, most: int) -> WithJsonSchema:
    number = {"type": "integer", "minimum": least, "maximum": most}
    return WithJsonSchema({"anyOf": [number, {"const": "off"}]})


class Shedding(Checked):
    """The limits above which new requests are answered with 503 because there is too much to do.

    Those under way are served. The answers have `Retry-After`. At a limit, routes get 503 unless
    their `importance` is high.
    """

    memory: SizeOrOff = Field(
        default=ByteSize(0),
        description="The limit on the resident memory of the data plane, such as `1 GiB`.",
    )
    queued: CountOrOff = Field(
        default=1_024,
        description="The limit on requests that wait for a place at an upstream, counted by each "
        "worker.",
    )
    lag: DurationOrOff = Field(
        default=Duration(100),
        description="The limit on how long a turn of a worker's loop takes, smoothed over several "
        "turns; whatever arrives waits this long.",
    )
    strained: Annotated[CountOrOff, AfterValidator(_below), _percent(1, _LIMIT - 1)] = Field(
        default=75,
        description='From this percentage of a limit on, 1 to 99, routes with `importance = "low"` '
        "get 503; if the limit is that on memory, connections also end after their response.",
    )
    critical: Annotated[CountOrOff, AfterValidator(_above), _percent(_LIMIT + 1, _MOST)] = Field(
        default=150,
        description="From this percentage of a limit on, 101 to 10000, routes with `importance = "
        '"high"` also get 503, and new connections wait in the kernel\'s queue.',
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error if nothing is limited."""
        if not wrong and not self.memory.bytes and not self.queued and not self.lag.ms:
            yield Invalid("nothing is ever refused", "give `memory`, `queued` or `lag` a limit")


def _workers(value: object) -> object:
    value = number(value)
    if value == "auto":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 1024:  # noqa: PLR2004
        return value
    raise Invalid(
        f"{syntax.described(value)} is not a number of workers",
        'write "auto" (one per core that this process may use) or a whole number from 1 to 1024',
    )


Workers = Annotated[
    int | None,
    PlainValidator(_workers),
    WithJsonSchema(
        {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": 1024}]}
    ),
]


_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")


def _user(name: str) -> str:
    if _USER.fullmatch(name) is None:
        raise Invalid(f'"{name}" is not the name of a user', 'write one such as "headgate"')
    return name


_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,512}")


_OF_CHARACTERS = "16 to 512 characters of A-Z a-z 0-9 . _ ~ + / = -"


def _token(value: object, info: ValidationInfo) -> str:
    """Returns the token, unchanged, from the config or from a file; no message contains it."""
    if (path := named_file(value)) is not None:
        token = cast(Secrets, info.context).private(path)
        if _TOKEN.fullmatch(token) is None:
            raise Invalid(f'the text of "{path}" is not a token', f"write {_OF_CHARACTERS} in it")
        return token
    if not isinstance(value, str) or _TOKEN.fullmatch(value) is None:
        raise Invalid(
            "this is not a token",
            f'write {{ file = "…" }} or "${{env:HEADGATE_ADMIN_TOKEN}}", or {_OF_CHARACTERS}',
        )
    return str(value)


Token = Annotated[
    str,
    PlainValidator(_token),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 16, "maxLength": 512}, FILE_SCHEMA]}),
]


def _loopback(address: str) -> str:
    if not syntax.is_loopback(address):
        raise Invalid(
            f'"{address}" can be reached from other hosts',
            'write a loopback address such as "127.0.0.1:9090"; `metrics` may be any address',
        )
    return address


def _no_addresses(value: object) -> object:
    return [] if value == "off" else value


AdminAddresses = Annotated[
    list[Annotated[ListenAddress, AfterValidator(_loopback)]],
    ONE_OR_MORE,
    OR_ITEM,
    BeforeValidator(_no_addresses),
    OrWord(("off",)),
]
MetricsAddresses = Annotated[list[ListenAddress], ONE_OR_MORE, OR_ITEM]
ListenerAddresses = dict[
    str, Annotated[list[ListenAddress], Field(min_length=1), ONE_OR_MORE, OR_ITEM]
]
NodeAccessLog = Annotated[
    AccessLog | None, BeforeValidator(read_log), OrWord(("off", *get_args(LogFormat)))
]


class Instance(Identity):
    """One nginx of several that an agent drives; what is absent is as in `[node]`."""

    nginx: Nginx = Field(
        default=Nginx(),
        description="The nginx of the instance; its keys replace those of `node.nginx`.",
    )
    log_level: LogLevel = Field(
        default="info", description="Replaces `node.log_level` for the instance."
    )
    access_log: NodeAccessLog = Field(
        default=None, description="Replaces `node.access_log` for the instance."
    )
    admin: AdminAddresses = Field(
        default_factory=list,
        description="Replaces `node.admin` for the instance; the default of `node.admin` is `off` "
        "for instances.",
    )
    metrics: MetricsAddresses = Field(
        default_factory=list, description="Replaces `node.metrics` for the instance."
    )
    listener_addresses: ListenerAddresses = Field(
        default_factory=dict, description="Replaces `node.listener_addresses` for the instance."
    )


class Node(Options):
    """Settings of the whole node."""

    engine: Engine = Field(
        default="native",
        description="What serves the traffic: headgate's own data plane, or an nginx.",
    )
    nginx: Nginx = Field(
        default=Nginx(), description='The nginx of a node with `engine = "nginx"`.'
    )
    log_level: LogLevel = Field(
        default="info",
        description="The lowest level that is logged: `error`, `warn`, `info` or `debug`.",
    )
    access_log: NodeAccessLog = Field(
        default=None,
        description="The access log; a bare format writes to stdout.",
        json_schema_extra={"default": "off"},
    )
    redact_query: Annotated[
        list[Parameter], Field(max_length=MOST_PARAMETERS), ONE_OR_MORE, OR_ITEM
    ] = Field(
        default=list(REDACTED),
        description="Query parameters, regardless of case, whose values are replaced by `(secret)` "
        "in the target and the Referer of access logs, taps and log searches. Parameters in which "
        "an `api_key` or a `jwt` takes credentials are hidden as well.",
    )
    limits: NodeLimits = Field(default=NodeLimits(), description="Limits on all clients together.")
    drain: Drain = Field(default=Drain(), description="How the node drains when it stops.")
    resolver: Resolver = Field(
        default=Resolver(), description="How the names of endpoints are resolved."
    )
    shedding: Shedding | None = Field(
        default=None,
        description="When new requests are answered with 503 because the node has too much to do. "
        "A level ends below 80 % of the load at which it begins. Absent = never.",
    )
    tracing: Tracing | None = Field(
        default=None,
        description="How requests take part in traces; an empty table begins traces and continues "
        "those of clients. Absent = trace headers of clients pass untouched.",
    )
    limit_store: LimitStore | None = Field(
        default=None,
        description="The store through which nodes share rate limits. Absent = no limit is shared.",
    )
    workers: Workers = Field(
        default=None,
        description="The number of worker threads; `auto` = one per core that the process may "
        "use. The native engine has 128 at most, whatever is written.",
        json_schema_extra={"default": "auto"},
    )
    user: Annotated[str, AfterValidator(_user)] | None = Field(
        default=None,
        description="The system user that the node's processes run as if root starts the node, "
        "from the next start on; absent = `headgate`, or root if there is no such user. Native "
        "engine only.",
    )
    admin: AdminAddresses = Field(
        default=[DEFAULT_ADMIN],
        description="Loopback addresses that serve health and metrics and, to requests with "
        "`admin_token`, the whole admin API. `off` leaves only the Unix socket in "
        "`state_dir`.",
    )
    admin_token: Token | None = Field(
        default=None,
        description="The token that requests to an `admin` address send as `Authorization: Bearer "
        "TOKEN` to reach more than `/live`, `/ready`, `/health` and `/metrics`: the text itself, "
        "or a file with it that not every user may read. The node follows changes of the file. "
        "Absent = the rest is served on the Unix socket only.",
    )
    metrics: MetricsAddresses = Field(
        default_factory=list,
        description="Further addresses that serve only `/metrics`, `/live`, `/ready` and "
        "`/health`.",
    )
    latency_buckets: LatencyBuckets = Field(
        default=list(BUCKETS),
        description="The upper bounds of the buckets of all latency histograms in the metrics: 1 "
        "to 32 durations from `100us` to `10m`, ascending. They change without a restart; what was "
        "counted before moves to the next bound that is as long or longer.",
    )
    listener_addresses: ListenerAddresses = Field(
        default_factory=dict,
        description="The addresses on which this node opens listeners, by the names of the "
        "listeners, instead of their `address`: for nodes that share a config but have different "
        "addresses.",
    )
    allow_empty: Flag = Field(
        default=False,
        description="Accept a config without a route. It is refused by default, because files "
        "may be missing while they are copied.",
    )
    state_dir: str | None = Field(
        default=None,
        description="The directory of the plan, keys, sockets and lock; absent = `run` chooses "
        "one.",
    )
    instances: dict[str, Instance] = Field(
        default_factory=dict,
        description="Several nginx that one `headgate agent` drives; each has its own state, its "
        "own session and its own row at the master.",
    )
