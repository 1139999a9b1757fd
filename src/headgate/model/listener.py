"""`[listeners.NAME]`: an address we accept on."""

from typing import Annotated, Literal

from pydantic import Field, Strict

from headgate.features.base import Options
from headgate.features.fields import (
    FROM_ENV,
    Cidr,
    CountOrOff,
    DurationOrOff,
    DurationText,
    Flag,
    ListenAddress,
    SizeOrOff,
    SizeText,
)
from headgate.kernel.units import ByteSize, Duration
from headgate.model.shorthand import ONE_OR_MORE, OR_ITEM


class ListenerTls(Options):
    """TLS on a listener."""

    mode: Literal["terminate"] = Field(
        default="terminate",
        description="`terminate`: TLS ends here; the only mode of this version.",
    )
    policy: str | None = Field(
        default=None,
        description="The TLS policy where a host names none; absent = the built-in one.",
    )
    default_certificate: str | None = Field(
        default=None, description="The certificate for clients without SNI."
    )
    unknown_sni: Literal["reject", "default"] = Field(
        default="reject",
        description="What a client gets that asks for an unknown name: the alert "
        "`unrecognized_name`, or the default certificate.",
    )
    strict_sni: Flag = Field(
        default=False,
        description="Demand that the connection's certificate covers the request's host.",
    )


class ClientIp(Options):
    """How the client's address is found."""

    trusted: list[Cidr] = Field(
        default_factory=list,
        description="Peers whose headers about the client are believed; networks. From any other "
        "peer such headers are removed (docs/reference/client-headers.md).",
    )
    header: Literal["x-forwarded-for", "forwarded", "x-real-ip"] = Field(
        default="x-forwarded-for", description="The header they set."
    )


class ListenerLimits(Options):
    """What clients of a listener may take."""

    connections: CountOrOff = Field(
        default=0, description="Client connections open at once on this listener."
    )
    head: SizeText = Field(default=ByteSize(32 << 10), description="Bytes of one request head.")
    headers: Annotated[int, Strict(), Field(ge=1, le=256), FROM_ENV] = Field(
        default=100, description="Header lines of one request."
    )
    body: SizeOrOff = Field(default=ByteSize(0), description="Bytes of one request body.")
    requests_per_connection: CountOrOff = Field(
        default=0, description="Requests on one connection before it is closed."
    )


class ListenerTimeouts(Options):
    """How long clients of a listener may take."""

    head: DurationText = Field(
        default=Duration(10_000), description="Time for a whole request head, from its first byte."
    )
    idle: DurationText = Field(default=Duration(60_000), description="Idle time between requests.")
    handshake: DurationText = Field(
        default=Duration(10_000), description="Time for the TLS handshake."
    )


class Listener(Options):
    """An address we accept on."""

    address: Annotated[list[ListenAddress], Field(min_length=1), ONE_OR_MORE, OR_ITEM] = Field(
        description='One IP address and port, or several: `"127.0.0.1:8000"`, `"[::]:443"`.'
    )
    protocol: Literal["http"] = Field(
        default="http", description="What is spoken; `http` is the only protocol of this version."
    )
    default: Flag = Field(
        default=False, description="Whether routes without `listeners` attach to this listener."
    )
    tls: ListenerTls | None = Field(default=None, description="TLS; absent = plain.")
    client_ip: ClientIp = Field(
        default=ClientIp(), description="How the client's address is found."
    )
    underscores_in_headers: Flag = Field(
        default=False,
        description="Take request headers whose name has a `_`. They are dropped otherwise, since "
        "many backends read `X_User` as `X-User`.",
    )
    limits: ListenerLimits = Field(default=ListenerLimits(), description="What clients may take.")
    timeouts: ListenerTimeouts = Field(
        default=ListenerTimeouts(), description="How long clients may take."
    )
    backlog: Annotated[int, Strict(), Field(ge=1, le=65_535), FROM_ENV] = Field(
        default=4096, description="Connections waiting to be accepted."
    )
    tcp_keepalive: DurationOrOff = Field(
        default=Duration(60_000), description="Idle time before TCP keepalive probes."
    )
