"""The plan's listeners, hosts, routes and upstreams; the mirror of hg-plan's `objects.rs`.

Field names are the canonical keys and the defaults are the core's: a field left out here means the
same there. Times are whole milliseconds (`_ms`, 0 = off), sizes bytes (`_bytes`, 0 = no limit).
A choice (`PathMatch`, `Action` …) has exactly one of its fields set.
"""

from typing import Literal

import msgspec

from headgate.kernel.ids import BlobId
from headgate.plan.balance import ROUND_ROBIN, Balance
from headgate.plan.http2 import Http2
from headgate.plan.middleware import MiddlewareUse, Redirect, Respond
from headgate.plan.node import DefaultedNode, PlanNode

TlsVersion = Literal["1.2", "1.3"]


class ListenerTls(DefaultedNode, frozen=True):
    """TLS on a listener."""

    policy: str | None = None
    default_certificate: str | None = None
    unknown_sni: Literal["reject", "default"] = "reject"
    strict_sni: bool = False


class ProxyProtocol(DefaultedNode, frozen=True):
    """The peers whose connections begin with a PROXY header; `trusted` is never empty."""

    trusted: tuple[str, ...]
    mode: Literal["required", "optional"] = "required"
    timeout_ms: int = 3_000


class ClientIp(DefaultedNode, frozen=True):
    """The source of the client's address; an empty header means `x-forwarded-for`."""

    trusted: tuple[str, ...] = ()
    header: str = ""
    proxy_protocol: ProxyProtocol | None = None


class Listener(DefaultedNode, frozen=True):
    """An address we accept on."""

    addresses: tuple[str, ...]
    protocol: Literal["http", "tcp", "udp"]
    tls: ListenerTls | None = None
    client_ip: ClientIp = ClientIp()
    underscores_in_headers: bool = False
    h2c: bool = False
    http2: Http2 = Http2()
    backlog: int = 4096
    fast_open: int = 0
    max_connections: int = 0
    flows: int = 16_384
    head_bytes: int = 32 * 1024
    header_count: int = 100
    body_bytes: int = 0
    keepalive_requests: int = 0
    head_timeout_ms: int = 10_000
    idle_timeout_ms: int = 60_000
    handshake_timeout_ms: int = 10_000
    detect_timeout_ms: int = 0
    tcp_keepalive_ms: int = 60_000

    @property
    def places(self) -> tuple[str, ...]:
        """The places of its sockets, in the order of its addresses."""
        return tuple(place(address, self.protocol) for address in self.addresses)


def place(address: str, protocol: str) -> str:
    """Returns where a socket is: the ports of UDP are not those of TCP.

    >>> place("127.0.0.1:53", "udp")
    '127.0.0.1:53/udp'
    """
    return f"{address}/udp" if protocol == "udp" else address


class Host(PlanNode, frozen=True):
    """A virtual host; its name is the host."""

    certificates: tuple[str, ...] = ()
    tls_policy: str | None = None
    allow_plain: bool | None = None
    middlewares: tuple[MiddlewareUse, ...] = ()


class PathMatch(PlanNode, frozen=True):
    """A condition on the normalised path."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class ValueMatch(PlanNode, frozen=True):
    """A condition on the value of a header, a cookie or a query parameter."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None
    present: bool | None = None
    absent: bool | None = None


class CertificateMatch(PlanNode, frozen=True):
    """The conditions on the client's verified certificate; an empty list asks for nothing."""

    subjects: tuple[str, ...] = ()
    sans: tuple[str, ...] = ()
    spiffe: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()


class Match(PlanNode, frozen=True):
    """One match; every condition given must hold."""

    path: PathMatch | None = None
    methods: tuple[str, ...] = ()
    headers: dict[str, ValueMatch] = msgspec.field(default_factory=dict)
    cookies: dict[str, ValueMatch] = msgspec.field(default_factory=dict)
    query: dict[str, ValueMatch] = msgspec.field(default_factory=dict)
    client: tuple[str, ...] = ()
    client_subject: ValueMatch | None = None
    client_certificate: CertificateMatch | None = None


class SplitPart(DefaultedNode, frozen=True):
    """One share of a split; weight 0 takes nothing."""

    upstream: str
    weight: int = 1


class Affinity(DefaultedNode, frozen=True):
    """A cookie that keeps a client at its endpoint; `secure` absent = as the client came.

    The first of `keys` signs its values, each of them verifies them; without any they are plain.
    """

    cookie: str
    max_age_s: int = 0
    path: str = "/"
    same_site: Literal["lax", "strict", "none"] = "lax"
    secure: bool | None = None
    http_only: bool = True
    keys: tuple[str, ...] = ()


class Sticky(PlanNode, frozen=True):
    """The way to keep a client at its branch of a split: a signed cookie, or the hash of a key."""

    cookie: Affinity | None = None
    by: tuple[str, ...] | None = None


class Mirror(DefaultedNode, frozen=True):
    """The upstream of copied requests; `share` of 10,000, with bodies up to `body_bytes`."""

    upstream: str
    share: int = 10_000
    body_bytes: int = 65_536
    timeout_ms: int = 10_000
    in_flight: int = 64


class Action(PlanNode, frozen=True):
    """The final action of a route."""

    upstream: str | None = None
    split: tuple[SplitPart, ...] | None = None
    respond: Respond | None = None
    redirect: Redirect | None = None
    not_imported: str | None = None


class RouteTimeouts(DefaultedNode, frozen=True):
    """Timeouts of a route; 0 = off."""

    request_ms: int = 0
    per_try_ms: int = 0
    body_ms: int = 30_000
    body_rate: int = 500
    first_byte_ms: int = 60_000
    stream_idle_ms: int = 300_000


class OnlyMethods(PlanNode, frozen=True):
    """The methods that may be repeated."""

    only: tuple[str, ...]


RetryMethods = Literal["idempotent", "all"] | OnlyMethods


class RetryBackoff(DefaultedNode, frozen=True):
    """The wait before a retry; drawn between nothing and the limit if `jitter` is set."""

    base_ms: int = 25
    factor_percent: int = 200
    max_ms: int = 250
    jitter: bool = True


class RetryBudget(DefaultedNode, frozen=True):
    """The number of retries that an upstream gets; 0 = none."""

    percent: int = 20
    per_second: int = 3


class RetryHedge(DefaultedNode, frozen=True):
    """The start of a second try beside the first; 0 = after the route's p95."""

    after_ms: int = 0


class Retry(DefaultedNode, frozen=True):
    """The rules for retrying a request; `on` besides failures to connect and refused streams."""

    retries: int = 2
    on: tuple[str, ...] = ()
    methods: RetryMethods = "idempotent"
    backoff: RetryBackoff = RetryBackoff()
    budget: RetryBudget = RetryBudget()
    hedge: RetryHedge | None = None


Importance = Literal["low", "normal", "high"]
"""The importance of requests while there is too much to do: low importance is refused first."""


class Observed(DefaultedNode, frozen=True):
    """The records that are kept of the requests of a route."""

    access_log_percent: int = 100
    access_log_statuses: tuple[tuple[int, int], ...] = ((500, 599),)
    access_log_slower_ms: int | None = None
    tracing: bool = True


class Route(DefaultedNode, frozen=True):
    """An HTTP route; `hosts` and `listeners` are sorted and never empty."""

    hosts: tuple[str, ...]
    listeners: tuple[str, ...]
    action: Action
    match: tuple[Match, ...] = ()
    priority: int = 0
    middlewares: tuple[MiddlewareUse, ...] = ()
    timeouts: RouteTimeouts = RouteTimeouts()
    forward_raw_path: bool = False
    websocket: bool = True
    body_bytes: int | None = None
    body_buffer_bytes: int = 0
    response_buffer_bytes: int = 0
    retry: Retry | None = None
    importance: Importance = "normal"
    observed: Observed = Observed()
    sticky: Sticky | None = None
    mirrors: tuple[Mirror, ...] = ()


class Endpoint(DefaultedNode, frozen=True):
    """One endpoint: `host:port`, `[::1]:80` or `unix:/path`."""

    address: str
    weight: int = 1
    backup: bool = False
    max_connections: int = 0
    zone: str | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)


class HostLiteral(PlanNode, frozen=True):
    """A fixed Host header."""

    literal: str


HostHeader = Literal["pass", "endpoint"] | HostLiteral
UpstreamProtocol = Literal["http1", "h2", "h2c", "auto"]


class UpstreamTls(DefaultedNode, frozen=True):
    """TLS towards endpoints; `ca` is a blob of PEM roots, absent = the system's."""

    verify: bool = True
    verify_name: str | None = None
    sni: bool = True
    ca: BlobId | None = None
    client_certificate: str | None = None
    min_version: TlsVersion = "1.2"


class Pool(DefaultedNode, frozen=True):
    """Idle connections kept towards endpoints, per worker, and the header that each begins with."""

    max_idle: int = 512
    idle_timeout_ms: int = 60_000
    max_age_ms: int = 0
    proxy_protocol: Literal["v1", "v2"] | None = None


class HttpCheck(DefaultedNode, frozen=True):
    """The request of a check, and what passes: ranges of statuses, a text in the body."""

    path: str = "/"
    method: str = "GET"
    host: str | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    statuses: tuple[tuple[int, int], ...] = ((200, 399),)
    body: str | None = None


class GrpcCheck(DefaultedNode, frozen=True):
    """A call of gRPC's health service; no service = the server as a whole."""

    service: str = ""
    host: str | None = None


class Expect(PlanNode, frozen=True):
    """A condition on an answer: bytes as hexadecimal digits, or a pattern for all of it."""

    exact: str | None = None
    prefix: str | None = None
    contains: str | None = None
    regex: str | None = None


class BytesCheck(DefaultedNode, frozen=True):
    """Bytes to send, as hexadecimal digits, and the answer that passes; none = any."""

    is_datagram: bool = False
    send: str = ""
    is_secret: bool = False
    expect: Expect | None = None


class HealthCheck(DefaultedNode, frozen=True):
    """The checks of endpoints; without `http`, `grpc` and `bytes`, a connection is enough."""

    http: HttpCheck | None = None
    grpc: GrpcCheck | None = None
    bytes: BytesCheck | None = None
    interval_ms: int = 5_000
    timeout_ms: int = 2_000
    fast_interval_ms: int = 1_000
    max_interval_ms: int = 30_000
    healthy: int = 2
    unhealthy: int = 3


class AgentCheck(DefaultedNode, frozen=True):
    """The checks that ask the agents of endpoints; an empty `send` = the agents speak first."""

    port: int
    send: str = ""
    interval_ms: int = 2_000
    timeout_ms: int = 1_000


class OutlierShares(DefaultedNode, frozen=True):
    """The shares of their requests for which endpoints are ejected; 0 = off.

    `success_rate_deviation` is in thousandths of the standard deviation.
    """

    failure_percent: int = 50
    failure_requests: int = 20
    success_rate_deviation: int = 1_900
    success_rate_endpoints: int = 5
    success_rate_requests: int = 100
    window_s: int = 60


class OutlierDetection(DefaultedNode, frozen=True):
    """The conditions under which endpoints are ejected because of requests; 0 in a row = off."""

    consecutive_5xx: int = 5
    consecutive_gateway: int = 5
    consecutive_local: int = 5
    shares: OutlierShares = OutlierShares()
    ejection_ms: int = 30_000
    max_ejection_ms: int = 300_000
    max_ejected: int = 50
    enforce_percent: int = 100


class CircuitBreaker(DefaultedNode, frozen=True):
    """A breaker that keeps requests from what fails; 0 failures in a row or percent = off."""

    per: Literal["endpoint", "upstream"] = "endpoint"
    failures: int = 5
    open_ms: int = 30_000
    successes: int = 2
    probes: int = 2
    error_percent: int = 0
    slow_percent: int = 0
    slow_ms: int = 1_000
    requests: int = 20
    window_s: int = 10


class AdaptiveConcurrency(DefaultedNode, frozen=True):
    """The limit on requests at a time from a worker to an upstream, learned from their latency."""

    initial: int = 20
    min: int = 4
    max: int = 1_000


class Health(DefaultedNode, frozen=True):
    """The rules for judging the health of endpoints; `panic_threshold` in percent, 0 = off."""

    check: HealthCheck | None = None
    agent: AgentCheck | None = None
    outliers: OutlierDetection | None = None
    breaker: CircuitBreaker | None = None
    concurrency: AdaptiveConcurrency | None = None
    panic_threshold: int = 30
    slow_start_ms: int = 0
    slow_start_floor: int = 10


class Upstream(DefaultedNode, frozen=True):
    """A pool of endpoints."""

    endpoints: tuple[Endpoint, ...]
    balance: Balance = ROUND_ROBIN
    affinity: Affinity | None = None
    host_header: HostHeader = "pass"
    tls: UpstreamTls | None = None
    protocol: UpstreamProtocol = "http1"
    connect_timeout_ms: int = 5_000
    pool: Pool = Pool()
    max_connections: int = 0
    queue: int = 1024
    queue_timeout_ms: int = 5_000
    head_bytes: int = 32 * 1024
    health: Health = Health()


class Certificate(PlanNode, frozen=True):
    """A key pair, by the blobs of its PEM material; `ocsp` is a DER response."""

    cert: BlobId
    key: BlobId
    ocsp: BlobId | None = None


class ClientAuth(PlanNode, frozen=True):
    """Client certificates: PEM roots and revocation lists, and whether there must be one."""

    ca: BlobId
    crl: BlobId | None = None
    required: bool = True


class TlsPolicy(DefaultedNode, frozen=True):
    """Versions, ciphers and client authentication; an empty list means the core's own order."""

    min_version: TlsVersion = "1.2"
    max_version: TlsVersion = "1.3"
    cipher_suites: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ()
    client_auth: ClientAuth | None = None
    tickets: bool = True
