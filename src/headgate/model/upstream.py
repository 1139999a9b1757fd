"""`[upstreams.NAME]`: a pool of endpoints."""

from collections.abc import Iterator, Set
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, Strict, WithJsonSchema

from headgate.features import syntax
from headgate.features.base import Checked, Options
from headgate.features.fields import (
    FROM_ENV,
    CountOrOff,
    DurationOrOff,
    DurationText,
    EndpointAddress,
    Flag,
    HeadSize,
    HostName,
    PercentOrOff,
)
from headgate.kernel.errors import Invalid
from headgate.kernel.units import ByteSize, Duration
from headgate.model.adaptive import AdaptiveConcurrency
from headgate.model.affinity import Affinity
from headgate.model.agent import AgentCheck
from headgate.model.breaker import CircuitBreaker
from headgate.model.choice import DEFAULT_POLICY, BalancePolicy
from headgate.model.health import HealthCheck, OutlierDetection
from headgate.model.shorthand import OrWord


class Endpoint(Options):
    """One endpoint."""

    address: EndpointAddress = Field(
        description='`"host:port"`, `"[::1]:80"` or `"unix:/path"`. A name is resolved again '
        "before its TTL ends; each of its addresses takes requests and has the "
        "endpoint's weight. A name with one IPv6 and one IPv4 address is one "
        "endpoint that can be reached in two ways."
    )
    weight: Annotated[int, Strict(), Field(ge=0, le=10_000), FROM_ENV] = Field(
        default=1, description="The share of the requests, relative to the other weights; 0 = none."
    )
    backup: Flag = Field(
        default=False, description="Use the endpoint only while no other endpoint is usable."
    )
    max_connections: CountOrOff = Field(
        default=0,
        description="The most connections in use at once to this endpoint, per node; all "
        "addresses of a name count together.",
    )
    zone: str | None = Field(default=None, description="The availability zone of the endpoint.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels of your choice.")


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
"""The Host that an upstream sees."""


class UpstreamTls(Options):
    """TLS towards the endpoints."""

    verify: Flag = Field(
        default=True, description="Whether the certificate's chain and name are verified."
    )
    verify_name: HostName | None = Field(
        default=None,
        description="The name that is sent as SNI and verified; absent = the endpoint's host.",
    )
    sni: Flag = Field(
        default=True,
        description="Whether the handshake names the server (SNI); addresses are never named.",
    )
    ca_file: str | None = Field(
        default=None, description="The PEM file of the trusted roots; absent = the system's roots."
    )
    client_certificate: str | None = Field(
        default=None,
        description="The name of the certificate to send when the endpoint asks for one.",
    )
    min_version: Literal["1.2", "1.3"] = Field(default="1.2", description="The lowest TLS version.")


class Pool(Options):
    """Connections kept towards endpoints."""

    max_idle: Annotated[int, Strict(), Field(ge=0, le=100_000), FROM_ENV] = Field(
        default=512, description="The most idle connections kept per endpoint and worker; 0 = none."
    )
    idle_timeout: DurationText = Field(
        default=Duration(60_000), description="After this time an idle connection is closed."
    )
    max_age: DurationOrOff = Field(
        default=Duration(0), description="After this time a connection takes no further request."
    )


class UpstreamLimits(Options):
    """The limits on what requests may take of an upstream."""

    connections: CountOrOff = Field(
        default=0,
        description="The most connections in use at once to all endpoints together, per node; "
        "those that were open before there was a limit do not count.",
    )
    queue: Annotated[int, Strict(), Field(ge=0, le=1_000_000), FROM_ENV] = Field(
        default=1024,
        description="How many requests may wait in each worker when `connections` is reached; 0 = "
        "none.",
    )
    head: HeadSize = Field(
        default=ByteSize(32 << 10), description="The largest response head, at most 1 GiB."
    )


class UpstreamTimeouts(Options):
    """The times that an upstream may take."""

    connect: DurationText = Field(
        default=Duration(5_000),
        description="How long connecting may take, over all endpoints that are tried.",
    )
    queue: DurationText = Field(
        default=Duration(5_000), description="How long a request waits for a connection."
    )


class Upstream(Checked):
    """A pool of endpoints with one balance policy."""

    endpoints: Annotated[list[EndpointRef], Field(min_length=1)] = Field(
        description="The servers of the pool: addresses, or tables with a weight and other options."
    )
    balance: BalancePolicy = Field(
        default=DEFAULT_POLICY,
        description="How an endpoint is chosen; a bare word selects the policy with its defaults.",
    )
    affinity: Affinity | None = Field(
        default=None,
        description="A cookie that keeps a client at the endpoint that answered it first. Absent = "
        "`balance` alone chooses.",
    )
    host_header: HostHeader = Field(
        default="pass",
        description="The `Host` header that the upstream gets: `pass` (the client's), "
        "`endpoint` (the endpoint's address), or this text.",
    )
    tls: UpstreamTls | None = Field(
        default=None, description="TLS to the endpoints; absent = plain HTTP."
    )
    protocol: Literal["http1", "h2", "h2c", "auto"] = Field(
        default="http1",
        description="Which version of HTTP the endpoints speak: `http1` is HTTP/1.1, `h2` HTTP/2 "
        "over TLS, `h2c` HTTP/2 without TLS (prior knowledge); with `auto` the endpoint chooses "
        "between HTTP/2 and HTTP/1.1 in the TLS handshake. Over HTTP/2 requests share connections; "
        "each request counts as a connection in use.",
    )
    proxy_protocol: Literal["v1", "v2"] | None = Field(
        default=None,
        description="The version of the PROXY protocol in which headgate tells the endpoints who "
        "the client is: at the start of each connection, for requests and for TCP, and with `v2` "
        "in front of each UDP datagram (docs/howto/proxy-protocol.md). Only requests of the same "
        'client share a connection; `protocol` must be "http1". Absent = the endpoints are not '
        "told.",
    )
    pool: Pool = Field(default=Pool(), description="The idle connections to the endpoints.")
    limits: UpstreamLimits = Field(
        default=UpstreamLimits(),
        description="Limits on connections, waiting requests and response heads.",
    )
    timeouts: UpstreamTimeouts = Field(
        default=UpstreamTimeouts(), description="Timeouts for connecting and waiting."
    )
    health_check: HealthCheck | None = Field(
        default=None,
        description="How the endpoints are checked; an endpoint that fails gets no requests. "
        "Absent = they are not checked.",
    )
    agent_check: AgentCheck | None = Field(
        default=None,
        description="How endpoints are asked for their own state: that they are down, in "
        "maintenance, or take only a part of their weight. It counts in addition to "
        "`health_check`. Absent = they are not asked.",
    )
    outlier_detection: OutlierDetection | None = Field(
        default=None,
        description="When an endpoint whose requests fail is ejected for a while. Absent = never.",
    )
    circuit_breaker: CircuitBreaker | None = Field(
        default=None,
        description="When an endpoint or upstream that fails gets no requests for a while, even if "
        "it is the last endpoint; the requests get 503 at once. Absent = never.",
    )
    adaptive_concurrency: AdaptiveConcurrency | None = Field(
        default=None,
        description="How many requests the upstream gets at once, learned from how long its "
        "responses take; others wait (`limits.queue`). Absent = any number.",
    )
    slow_start: DurationOrOff = Field(
        default=Duration(0),
        description="How long an endpoint takes to reach its full share of the requests when it "
        "comes back or is added to a running config. This does not apply if no other endpoint "
        "could take the rest: at the start of the node, or if all endpoints are new.",
    )
    slow_start_floor: Annotated[int, Strict(), Field(ge=1, le=100), FROM_ENV] = Field(
        default=10,
        description="The percentage of its share that an endpoint begins with in a slow start.",
    )
    panic_threshold: PercentOrOff = Field(
        default=30,
        description="If less than this percentage of the endpoints is usable, the judgement of "
        "their health is doubted, and requests go to all endpoints except those that an operator "
        "took out. A usable backup prevents that.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields errors for a protocol, an agent or a table that the other keys do not allow."""
        yield from self._unreachable_agents(wrong)
        yield from self._without_datagrams(wrong)
        yield from self._without_places(wrong)
        if "protocol" in wrong:
            return
        if self.protocol in ("h2", "auto") and self.tls is None and "tls" not in wrong:
            yield Invalid(
                f'"{self.protocol}" is agreed on in a TLS handshake, and the upstream has no `tls`',
                'add `tls`, or write "h2c" for HTTP/2 without TLS',
                at=("protocol",),
            )
        if self.protocol == "h2c" and (self.tls is not None or "tls" in wrong):
            yield Invalid(
                '"h2c" is HTTP/2 without TLS, and the upstream has `tls`',
                'write "h2", or leave `tls` out',
                at=("protocol",),
            )
        if self.protocol != "http1" and self.proxy_protocol is not None:
            yield Invalid(
                f'a PROXY header tells of one client, and over "{self.protocol}" clients share '
                "connections",
                'write protocol = "http1", or leave `proxy_protocol` out',
                at=("proxy_protocol",),
            )
        check = self.health_check
        if self.protocol == "http1" and check is not None and check.protocol == "grpc":
            yield Invalid(
                "a check by grpc needs HTTP/2, and the endpoints speak HTTP/1.1",
                'write protocol = "h2", or "h2c" without TLS, in the upstream',
                at=("health_check", "protocol"),
            )

    def _without_datagrams(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields what an upstream has that no datagram of a check can follow."""
        check = self.health_check
        if check is None or check.protocol != "udp":
            return
        at = ("health_check", "protocol")
        other = 'write protocol = "tcp" in the check'
        if self.tls is not None or "tls" in wrong:
            yield Invalid("the upstream has `tls`, and a datagram has none", other, at=at)
        if self.proxy_protocol == "v1":
            yield Invalid(
                "a PROXY header of version 1 cannot tell of datagrams",
                'write proxy_protocol = "v2", or protocol = "tcp" in the check',
                at=at,
            )
        if "endpoints" in wrong:
            return
        for index, endpoint in enumerate(self.endpoints):
            if endpoint.address.startswith("unix:"):
                yield Invalid(
                    f'"{endpoint.address}" takes no datagrams',
                    f"write an address and port, or {other.removeprefix('write ')}",
                    at=("endpoints", index),
                )

    def _without_places(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error if the balance policy has not got a place for each endpoint."""
        places = None if {"balance", "endpoints"} & wrong else self.balance.options.places
        count = len(self.endpoints)
        if places is not None and places[1] < count:
            option, most = places
            yield Invalid(
                f"{most} is less than the number of endpoints, {count}",
                "write a prime above that",
                at=("balance", self.balance.chosen, option),
            )

    def _unreachable_agents(self, wrong: Set[str]) -> Iterator[Invalid]:
        if self.agent_check is None or {"agent_check", "endpoints"} & wrong:
            return
        for index, endpoint in enumerate(self.endpoints):
            if endpoint.address.startswith("unix:"):
                yield Invalid(
                    f'"{endpoint.address}" has no port, and `agent_check` asks a port of its host',
                    "leave `agent_check` out, or write an address with a host",
                    at=("endpoints", index),
                )
