"""`[node.tracing]`: how requests belong to traces."""

import math
from typing import Annotated, Final, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from headgate.features import syntax
from headgate.features.fields import number
from headgate.kernel.errors import Invalid
from headgate.model.otlp import CollectorUrl, OtlpExport, ServiceName

_PER_PERCENT: Final = 10_000
_ALL: Final = 100


def _share(value: object) -> int:
    """Returns millionths from a percentage."""
    percent = number(value)
    if isinstance(percent, int | float) and not isinstance(percent, bool) and 0 <= percent <= _ALL:
        millionths = round(percent * _PER_PERCENT)
        if math.isclose(millionths / _PER_PERCENT, percent):
            return millionths
    raise Invalid(
        f"{syntax.described(value)} is not a share of the traces",
        "write a percentage from 0 to 100 with at most four decimals",
    )


SampledShare = Annotated[
    int,
    PlainValidator(_share),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": _ALL}),
]


class Tracing(OtlpExport):
    """The traces that requests belong to (W3C Trace Context).

    Endpoints get the trace in the header `traceparent`, and the access log has its ids.
    """

    endpoint: CollectorUrl | None = Field(
        default=None,
        description="The collector that spans are sent to, as a URL for OTLP over HTTP, with TLS "
        "if it begins with `https`; a URL without a path gets `/v1/traces`. Absent = no spans are "
        "made.",
    )
    service_name: ServiceName = Field(
        default="headgate", description="The `service.name` of the spans."
    )
    sample: SampledShare = Field(
        default=_ALL * _PER_PERCENT,
        description="The percentage of the traces that begin here that are recorded, such as 0.1. "
        "For a trace that a client began, its own flag decides.",
        json_schema_extra={"default": _ALL},
    )
    parents: Literal["any", "trusted"] = Field(
        default="any",
        description="Whose traces are continued here: those of all clients, or only of the peers "
        "in `client_ip.trusted` of their listener. Other requests begin a new trace.",
    )
