"""`[listeners.NAME]`: an address we accept on."""

from collections.abc import Iterator, Set
from typing import Annotated, Literal

from pydantic import Field, Strict

from headgate.features.base import Checked, Options
from headgate.features.fields import (
    FROM_ENV,
    Cidr,
    CountOrOff,
    DurationOrOff,
    DurationText,
    Flag,
    HeadSize,
    ListenAddress,
    SizeOrOff,
)
from headgate.kernel.errors import Invalid
from headgate.kernel.units import ByteSize, Duration
from headgate.model.http2 import Http2
from headgate.model.proxy_protocol import ProxyProtocol
from headgate.model.shorthand import ONE_OR_MORE, OR_ITEM


class ListenerTls(Options):
    """TLS on a listener."""

    mode: Literal["terminate"] = Field(
        default="terminate",
        description="`terminate`, the only mode, ends TLS at the listener. TLS passes unopened "
        'through listeners with `protocol = "tcp"` and without `tls`.',
    )
    policy: str | None = Field(
        default=None,
        description="The TLS policy for hosts that do not name one; absent = the built-in policy.",
    )
    default_certificate: str | None = Field(
        default=None, description="The certificate for clients without SNI."
    )
    unknown_sni: Literal["reject", "default"] = Field(
        default="reject",
        description="What to do if a client asks for an unknown name in SNI: `reject` sends the "
        "alert `unrecognized_name`, `default` serves the default certificate.",
    )
    strict_sni: Flag = Field(
        default=False,
        description="Require that the connection's certificate covers the request's host. HTTP "
        "only.",
    )


class ClientIp(Options):
    """The settings for finding the client's address."""

    trusted: list[Cidr] = Field(
        default_factory=list,
        description="Networks of the peers whose headers about the client are trusted. Such "
        "headers from any other peer are removed "
        "(docs/reference/client-headers.md).",
    )
    header: Literal["x-forwarded-for", "forwarded", "x-real-ip"] = Field(
        default="x-forwarded-for",
        description="The header in which trusted peers send the client's address.",
    )


class ListenerLimits(Options):
    """The limits on what clients of a listener may take."""

    connections: CountOrOff = Field(
        default=0, description="The most client connections open at once on this listener."
    )
    flows: Annotated[int, Strict(), Field(ge=1, le=1_000_000), FROM_ENV] = Field(
        default=16_384,
        description="The most flows open at once on a UDP listener, in equal shares of the "
        "workers. Beyond it the flow that has been quiet for longest ends, if it has been quiet "
        "for at least a second.",
    )
    head: HeadSize = Field(
        default=ByteSize(32 << 10), description="The largest request head, at most 1 GiB."
    )
    headers: Annotated[int, Strict(), Field(ge=1, le=256), FROM_ENV] = Field(
        default=100, description="The most header lines in one request."
    )
    body: SizeOrOff = Field(default=ByteSize(0), description="The largest request body.")
    requests_per_connection: CountOrOff = Field(
        default=0, description="After this many requests a connection is closed."
    )


class Detect(Options):
    """The settings for telling connections to `tcp_routes` from those of HTTP."""

    timeout: DurationText = Field(
        default=Duration(3_000),
        description="After this time a client whose protocol is not known yet goes to a TCP route "
        "without `sni` and `alpn`, if there is one: in many protocols the server speaks first.",
    )


class ListenerTimeouts(Options):
    """The times that clients of a listener may take."""

    head: DurationText = Field(
        default=Duration(10_000),
        description="How long a request head may take, from its first byte to its last.",
    )
    idle: DurationText = Field(
        default=Duration(60_000),
        description="How long a connection may stay idle between requests.",
    )
    handshake: DurationText = Field(
        default=Duration(10_000),
        description="How long the TLS handshake may take. On listeners without `tls` whose "
        "`tcp_routes` have `sni` or `alpn`, it is the time for the ClientHello.",
    )


_OF_HTTP = (
    "default",
    "detect",
    "client_ip",
    "h2c",
    "http2",
    "underscores_in_headers",
)
_TIMEOUTS_OF_HTTP = ("head", "idle")
_LIMITS_OF_HTTP = ("head", "headers", "body", "requests_per_connection")
_OF_CONNECTIONS = ("tls", "backlog", "fast_open", "tcp_keepalive")


class Listener(Checked):
    """An address we accept on."""

    address: Annotated[list[ListenAddress], Field(min_length=1), ONE_OR_MORE, OR_ITEM] = Field(
        description='One IP address and port, or several: `"127.0.0.1:8000"`, `"[::]:443"`.'
    )
    protocol: Literal["http", "tcp", "udp"] = Field(
        default="http",
        description="What clients speak: `http`; `tcp`, which is anything over TCP, whose bytes "
        "pass unread; or `udp`, which is anything over UDP. `routes` belong to listeners with "
        "`http`, `tcp_routes` and `udp_routes` to the others.",
    )
    default: Flag = Field(
        default=False, description="Whether routes without `listeners` belong to this listener."
    )
    tls: ListenerTls | None = Field(
        default=None,
        description="TLS, which ends at the listener; absent = plain HTTP, or with `protocol = "
        '"tcp"` bytes that pass as they are, including those of TLS.',
    )
    detect: Detect | None = Field(
        default=None,
        description="Lets `tcp_routes` use this HTTP listener: the first bytes of each connection "
        "tell whether it is HTTP, TLS or neither (docs/howto/tcp.md). Absent = every connection is "
        "HTTP.",
    )
    client_ip: ClientIp = Field(
        default=ClientIp(), description="How the client's address is determined."
    )
    proxy_protocol: ProxyProtocol | None = Field(
        default=None,
        description="Whether connections begin with a PROXY protocol header, in which a load "
        "balancer names the client of the connection that it passes on "
        "(docs/howto/proxy-protocol.md). From then on that address is the peer's, also for "
        '`client_ip`. With `protocol = "udp"` each datagram begins with such a header, of version '
        "2. Absent = a header counts as part of what the client sends, and is not a valid request.",
    )
    h2c: Flag = Field(
        default=False,
        description="Also serve HTTP/2 without TLS, on connections that begin with its preface "
        "(prior knowledge), as gRPC clients do. With TLS, `tls_policies.NAME.alpn` decides.",
    )
    http2: Http2 = Field(
        default=Http2(),
        description="Limits on each HTTP/2 connection (docs/reference/http2.md). A change applies "
        "to connections that begin after it.",
    )
    underscores_in_headers: Flag = Field(
        default=False,
        description="Accept request headers with `_` in the name. By default they are dropped, "
        "because many backends read `X_User` as `X-User`.",
    )
    limits: ListenerLimits = Field(
        default=ListenerLimits(), description="Limits on the clients of this listener."
    )
    timeouts: ListenerTimeouts = Field(
        default=ListenerTimeouts(), description="Timeouts for the clients of this listener."
    )
    backlog: Annotated[int, Strict(), Field(ge=1, le=65_535), FROM_ENV] = Field(
        default=4096, description="How many connections may wait to be accepted."
    )
    fast_open: CountOrOff = Field(
        default=0,
        description="How many connections may wait for the end of their TCP handshake after the "
        "client sent data with its first packet (TCP Fast Open, docs/howto/tcp.md). The kernel "
        "must allow it (`sysctl net.ipv4.tcp_fastopen=3`). Such data can arrive twice.",
    )
    tcp_keepalive: DurationOrOff = Field(
        default=Duration(60_000),
        description="How long a connection is idle before TCP sends keepalive probes.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for each key that belongs to another protocol than the listener's."""
        keys = _OF_HTTP if self.protocol != "http" else ()
        limits = _LIMITS_OF_HTTP if self.protocol != "http" else ()
        if self.protocol == "udp":
            keys, limits = (*keys, "timeouts", *_OF_CONNECTIONS), ("connections", *limits)
        else:
            limits = ("flows", *limits)
        timeouts = _TIMEOUTS_OF_HTTP if self.protocol == "tcp" else ()
        paths: list[tuple[str, ...]] = [
            (key,) for key in keys if key in self.model_fields_set | wrong
        ]
        proxy = self.proxy_protocol if self.protocol == "udp" else None
        if proxy and "timeout" in proxy.model_fields_set:
            paths.append(("proxy_protocol", "timeout"))
        if self.protocol == "tcp" and self.tls and "strict_sni" in self.tls.model_fields_set:
            paths.append(("tls", "strict_sni"))
        paths += [("limits", key) for key in limits if key in self.limits.model_fields_set]
        paths += [("timeouts", key) for key in timeouts if key in self.timeouts.model_fields_set]
        for path in paths:
            what = f'a listener with protocol = "{self.protocol}" has no `{".".join(path)}`'
            yield Invalid(what, f"leave `{path[-1]}` out", at=path)
