"""The types that describe API tokens."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from headgate.master.access import Permission
from headgate.master.api.filters import By, Instant, Prefix
from headgate.master.api.types import Body, Moment, Name, OrganisationWindow, Versioned, View
from headgate.master.domains.users.types import RoleName

LONGEST_DAYS = 366


class TokenWindow(OrganisationWindow):
    """The API tokens that are asked for."""

    name_prefix: Prefix = None
    role: RoleName | None = Field(default=None, description="Only those with this role.")
    workspace: str | None = Field(
        default=None,
        max_length=26,
        description="Only those of this workspace (id); empty: of the whole organisation.",
    )
    state: Literal["good", "expired", "revoked"] | None = Field(
        default=None, description="Only those that are in this state now."
    )
    created_by: By | None = Field(
        default=None, description="Only those that this user or token (id) made."
    )
    expires_before: Instant | None = Field(
        default=None, description="Only those that expire before this time."
    )


class NewToken(Body):
    """An API token to make."""

    name: Name
    role: RoleName
    workspace: str = Field(
        default="", description="The id of the workspace; empty for the whole organisation."
    )
    permissions: list[Permission] | None = Field(
        default=None, description="Only these permissions of the role; null for all."
    )
    days: Annotated[int, Field(ge=1, le=LONGEST_DAYS)] = Field(
        default=90, description="How long it is good."
    )


class ApiToken(Versioned):
    """An API token, without its secret."""

    name: str
    workspace: str
    role: RoleName
    permissions: list[str] | None
    created_by: str
    created_at: Moment
    expires_at: Moment
    revoked_at: Moment | None

    @field_validator("role", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        from headgate.master.access import Role  # noqa: PLC0415 - only for rows

        return Role(value).name.lower() if isinstance(value, int) else value

    @field_validator("permissions", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return value.split() if isinstance(value, str) else value


class MadeToken(ApiToken):
    """A new API token with its secret, which is shown only here."""

    secret: str


class HeldToken(View):
    """A token, as the gate reads it."""

    id: str
    name: str
    organisation_id: str
    workspace: str
    role: int
    permissions: str | None
    expires_at: int
    revoked_at: int | None
