"""`[upstreams.NAME]`: a pool of endpoints."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, Strict, WithJsonSchema

from headgate.features import syntax
from headgate.features.base import Options
from headgate.features.fields import (
    FROM_ENV,
    CountOrOff,
    DurationOrOff,
    DurationText,
    EndpointAddress,
    Flag,
    HostName,
    SizeText,
)
from headgate.kernel.errors import Invalid
from headgate.kernel.units import ByteSize, Duration
from headgate.model.choice import DEFAULT_POLICY, BalancePolicy
from headgate.model.shorthand import OrWord


class Endpoint(Options):
    """One endpoint."""

    address: EndpointAddress = Field(
        description='`"host:port"`, `"[::1]:80"` or `"unix:/path"`. A name is resolved again '
        "before its answer expires; each of its addresses takes requests and has the endpoint's "
        "weight. A name with one IPv6 and one IPv4 address is one endpoint with two ways to it."
    )
    weight: Annotated[int, Strict(), Field(ge=0, le=10_000), FROM_ENV] = Field(
        default=1, description="Share of the requests, relative to the others; 0 = none."
    )
    backup: Flag = Field(default=False, description="Used only when no other endpoint can be.")
    max_connections: CountOrOff = Field(
        default=0,
        description="Connections in use at once to this endpoint, per node; all addresses of a "
        "name together.",
    )
    zone: str | None = Field(default=None, description="Availability zone.")
    labels: dict[str, str] = Field(default_factory=dict, description="Free labels.")


def _addressed(value: object) -> object:
    return {"address": value} if isinstance(value, str) else value


EndpointRef = Annotated[Endpoint, BeforeValidator(_addressed), OrWord()]
"""An endpoint; a bare string is its address."""


def _host_header(value: object) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{syntax.described(value)} is not a host", _HOST_HEADERS)
    return value if value in ("pass", "endpoint") else syntax.authority(value)


_HOST_HEADERS = 'write "pass", "endpoint", or a host with or without port'
HostHeader = Annotated[
    str, PlainValidator(_host_header), WithJsonSchema({"type": "string", "format": "host-header"})
]
"""What an upstream sees as Host."""


class UpstreamTls(Options):
    """TLS towards the endpoints."""

    verify: Flag = Field(default=True, description="Verify the chain and the name.")
    verify_name: HostName | None = Field(
        default=None, description="The name sent as SNI and verified; absent = the endpoint's host."
    )
    ca_file: str | None = Field(
        default=None, description="PEM bundle of roots; absent = the system's roots."
    )
    client_certificate: str | None = Field(
        default=None, description="The certificate offered when the endpoint asks for one."
    )
    min_version: Literal["1.2", "1.3"] = Field(default="1.2", description="Lowest TLS version.")


class Pool(Options):
    """Connections kept towards endpoints."""

    max_idle: Annotated[int, Strict(), Field(ge=0, le=100_000), FROM_ENV] = Field(
        default=512, description="Idle connections kept per endpoint and worker; 0 = none."
    )
    idle_timeout: DurationText = Field(
        default=Duration(60_000), description="An idle connection is closed after this long."
    )
    max_age: DurationOrOff = Field(
        default=Duration(0), description="A connection is not used again after this long."
    )


class UpstreamLimits(Options):
    """What requests may take of an upstream."""

    connections: CountOrOff = Field(
        default=0, description="Connections in use at once to all endpoints together, per node."
    )
    queue: Annotated[int, Strict(), Field(ge=0, le=1_000_000), FROM_ENV] = Field(
        default=1024, description="Requests that may wait when `connections` is reached; 0 = none."
    )
    head: SizeText = Field(default=ByteSize(32 << 10), description="Bytes of one response head.")


class UpstreamTimeouts(Options):
    """How long an upstream may take."""

    connect: DurationText = Field(
        default=Duration(5_000), description="Time for connecting, all endpoints tried together."
    )
    queue: DurationText = Field(
        default=Duration(5_000), description="How long a request waits for a connection."
    )


class Upstream(Options):
    """A pool of endpoints with one balance policy."""

    endpoints: Annotated[list[EndpointRef], Field(min_length=1)] = Field(
        description="The servers; addresses, or tables with weight and more."
    )
    balance: BalancePolicy = Field(
        default=DEFAULT_POLICY,
        description="How one is picked; a bare word takes the policy's defaults.",
    )
    host_header: HostHeader = Field(
        default="pass",
        description="What the upstream sees as Host: `pass` (the client's), `endpoint` (the "
        "endpoint's address), or this text.",
    )
    tls: UpstreamTls | None = Field(
        default=None, description="TLS towards the endpoints; absent = plain."
    )
    pool: Pool = Field(default=Pool(), description="Connections kept towards endpoints.")
    limits: UpstreamLimits = Field(default=UpstreamLimits(), description="What requests may take.")
    timeouts: UpstreamTimeouts = Field(
        default=UpstreamTimeouts(), description="How long the endpoints may take."
    )
