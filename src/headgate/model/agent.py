"""`agent_check` of an upstream: how the agents of its endpoints are asked."""

from collections.abc import Iterator, Set
from typing import Annotated, Final

from pydantic import Field, PlainValidator, Strict, WithJsonSchema

from headgate.features import syntax
from headgate.features.base import Checked
from headgate.features.fields import FROM_ENV, DurationText
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration

_MOST_BYTES: Final = 1_024
_SEND_ALLOWED: Final = r'write text of at most 1024 bytes, such as "status\n"'


def _sent(value: object) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{syntax.described(value)} is not text", _SEND_ALLOWED)
    if len(value.encode()) > _MOST_BYTES:
        raise Invalid(f"the text has {len(value.encode())} bytes", _SEND_ALLOWED)
    return value


class AgentCheck(Checked):
    """The checks that ask the agents of the endpoints, in the protocol of HAProxy's `agent-check`.

    An agent is a small TCP server beside an endpoint. It answers each connection with one line of
    words: `up`, or `down`, `fail` and `stopped` with a reason after `#`; `ready`, `drain`, `maint`;
    and a weight such as `75%`. Only the agent undoes what it said; one that does not answer changes
    nothing.
    """

    port: Annotated[int, Strict(), Field(ge=1, le=65_535), FROM_ENV] = Field(
        description="The port of the agent, at the address of its endpoint; connections to it do "
        "not use TLS."
    )
    send: Annotated[
        str, PlainValidator(_sent), WithJsonSchema({"type": "string", "maxLength": _MOST_BYTES})
    ] = Field(
        default="", description="The text that the agent is sent first; most agents need none."
    )
    interval: DurationText = Field(
        default=Duration(2_000),
        description="The time from one check to the next. Each is up to 10 % earlier or later.",
    )
    timeout: DurationText = Field(
        default=Duration(1_000),
        description="How long an answer may take, including the connection.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for a timeout that is too long."""
        if not {"timeout", "interval"} & wrong and self.timeout.ms > self.interval.ms:
            yield Invalid(
                "the timeout is longer than the interval, which is from start to start",
                "write a shorter `timeout` or a longer `interval`",
                at=("timeout",) if "timeout" in self.model_fields_set else ("interval",),
            )
