"""The bodies and answers of logging in."""

from typing import Annotated, NamedTuple

from pydantic import Field

from headgate.master.access import Grant, Role
from headgate.master.api.types import Body, Moment, Name, View
from headgate.master.domains.sessions.passwords import LONGEST, SHORTEST
from headgate.master.domains.users.types import RoleName, UserName

Password = Annotated[
    str,
    Field(
        min_length=SHORTEST,
        max_length=LONGEST,
        description=f"{SHORTEST} to {LONGEST} characters.",
        json_schema_extra={"format": "password"},
    ),
]
Secret = Annotated[str, Field(min_length=1, max_length=4_096)]


class Setup(Body):
    """The body for a set-up link: the first administrator's name, or an invited user's."""

    token: Secret
    name: UserName | None = Field(
        default=None, description="The first administrator's name; not for who was invited."
    )
    password: Password
    organisation: Name = Field(
        default="main", description="The first organisation's name, at the first set-up only."
    )


class Login(Body):
    """A user's name and password."""

    name: Annotated[str, Field(max_length=200)]
    password: Annotated[str, Field(max_length=LONGEST, json_schema_extra={"format": "password"})]


class Refresh(Body):
    """The refresh token; it is good once."""

    refresh_token: Secret


class Tokens(View):
    """The tokens that prove a session."""

    access_token: str = Field(description="For `Authorization: Bearer …`, for 15 minutes.")
    refresh_token: str = Field(description="For `POST /api/v1/auth/refresh`, once.")
    token_type: str = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int = Field(description="Seconds until the access token expires.")


class CallerGrant(View):
    """A role of the caller."""

    organisation_id: str
    workspace_id: str = Field(description="Empty for the whole organisation.")
    role: RoleName


class Me(View):
    """The caller, with its grants."""

    id: str
    name: str
    is_token: bool
    is_master_admin: bool
    grants: list[CallerGrant]


class Link(View):
    """A set-up link."""

    id: str
    user_id: str | None
    expires_at: Moment
    used_at: Moment | None


class Session(View):
    """A login, with the refresh tokens that follow each other in it."""

    id: str
    user_id: str
    expires_at: Moment
    ended_at: Moment | None


class SignedIn(NamedTuple):
    """The user of a session with one of their roles, if they have any."""

    ended_at: int | None
    expires_at: int
    name: str
    is_master_admin: bool
    is_disabled: bool
    organisation_id: str | None
    workspace: str | None
    role: int | None

    @property
    def grant(self) -> Grant | None:
        """The role."""
        if self.organisation_id is None or self.workspace is None or self.role is None:
            return None
        return Grant(self.organisation_id, self.workspace, Role(self.role))


class RefreshToken(View):
    """A refresh token; only its digest is kept."""

    digest: str
    session_id: str
    used_at: Moment | None


class SigningKey(View):
    """A key of access tokens, sealed."""

    id: str
    sealed: str
    created_at: Moment
