"""The types that describe join tokens."""

import ipaddress
from typing import Annotated, Literal

from pydantic import Field, field_validator

from headgate.master.api.filters import By, HasLabels, InFleet, Instant
from headgate.master.api.types import Body, Moment, Versioned, Window
from headgate.master.domains.fleets.types import Labels

MOST_ADDRESSES = 32
LONGEST_HOURS = 366 * 24


class JoinTokenWindow(Window):
    """The join tokens that are asked for."""

    fleet: InFleet = None
    label: HasLabels = Field(default=[])
    state: Literal["good", "used", "expired", "revoked"] | None = Field(
        default=None,
        description="Only those that are in this state now; `used`: as often as they may be.",
    )
    created_by: By | None = Field(
        default=None, description="Only those that this user or token (id) made."
    )
    expires_before: Instant | None = Field(
        default=None, description="Only those that expire before this time."
    )


class NewJoinToken(Body):
    """A join token to make."""

    fleet: str = Field(description="The id or name of the fleet that its holders join.")
    labels: Labels = Field(default={}, description="What agents that enrol with it are labelled.")
    uses: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=1, description="How many nodes may enrol with it."
    )
    hours: Annotated[int, Field(ge=1, le=LONGEST_HOURS)] = Field(
        default=24, description="How long it is good."
    )
    data_plane_of: str | None = Field(
        default=None,
        max_length=26,
        description="The id of an agent of the fleet: the holder becomes the data plane of its"
        " node, in place of another one. null: the holder becomes an agent.",
    )
    addresses: Annotated[list[str], Field(max_length=MOST_ADDRESSES)] = Field(
        default=[],
        description="From which addresses and networks (CIDR) it may be used; empty for any.",
    )

    @field_validator("addresses")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        try:
            return [str(ipaddress.ip_network(one)) for one in value]
        except ValueError as error:
            raise ValueError(
                f"{error}; write an address or a network, such as 10.0.0.0/8"
            ) from None


class JoinToken(Versioned):
    """A join token, without its secret."""

    fleet: str = Field(description="The id of the fleet.")
    labels: dict[str, str]
    data_plane_of: str | None = Field(
        description="The agent whose data plane the holder becomes; null: it becomes an agent."
    )
    uses: int
    used: int
    addresses: list[str]
    created_by: str
    created_at: Moment
    expires_at: Moment
    revoked_at: Moment | None


class MadeJoinToken(JoinToken):
    """A new join token with its text, which is shown only here."""

    token: str = Field(description="What the node is given: the secret, and the pin of the CA.")
