"""`[listeners.NAME.proxy_protocol]`: whose connections begin with a PROXY header."""

from typing import Annotated, Literal

from pydantic import Field

from headgate.features.base import Options
from headgate.features.fields import Cidr, DurationText
from headgate.kernel.units import Duration


class ProxyProtocol(Options):
    """Headers of the PROXY protocol, before the first byte of a client or in front of datagrams."""

    mode: Literal["required", "optional"] = Field(
        default="required",
        description="`required`: connections without a header are closed, and so are those of "
        "peers that are not in `trusted`. `optional`: connections without a header are served, and "
        "their peer is the client. Datagrams are dropped in the same cases.",
    )
    trusted: Annotated[list[Cidr], Field(min_length=1)] = Field(
        description="Networks of the peers whose headers are accepted. A header from any other "
        "peer closes the connection."
    )
    timeout: DurationText = Field(
        default=Duration(3_000),
        description="How long the header of a connection may take. If it is optional, a client of "
        "a TCP listener that has sent nothing by then is served without one.",
    )
