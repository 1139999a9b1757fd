"""A certificate that a node serves with."""

from pydantic import Field

from headgate.master.api.filters import InFleet, Instant, Prefix
from headgate.master.api.types import Moment, View, Window


class CertificateWindow(Window):
    """The part of the list of certificates that is asked for."""

    expires_within_days: int | None = Field(
        default=None, ge=0, le=36_500, description="Only those that end within so many days."
    )
    expires_before: Instant | None = Field(
        default=None, description="Only those that end before this time."
    )
    name_prefix: Prefix = None
    fleet: InFleet = Field(
        default=None, description="Only those of agents of this fleet (id or name)."
    )
    agent: str | None = Field(default=None, max_length=26, description="Only those of this agent.")


class ServedCertificate(View):
    """A certificate that a node serves with."""

    id: str
    agent: str = Field(description="The id of the agent whose node serves with it.")
    name: str = Field(description="The object of the config, or the path in a watched nginx.")
    names: list[str] = Field(description="Host names and addresses that it is for.")
    issuer: str
    fingerprint: str = Field(description="SHA-256 of the certificate, in hex.")
    expires_at: Moment = Field(description="When the first certificate of its chain ends.")
    seen_at: Moment = Field(description="When the node said it.")
