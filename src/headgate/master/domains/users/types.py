"""The types that describe users."""

from typing import Annotated, Literal

from pydantic import Field

from headgate.master.api.filters import Prefix
from headgate.master.api.types import Body, Moment, OrganisationWindow, Versioned, View

UserName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9._@+-]{1,200}$",
        description="A user's name or e-mail address: letters, digits and `._@+-`.",
    ),
]
RoleName = Literal["viewer", "operator", "approver", "admin"]
"""The names of the roles; each includes those before it."""


class UserWindow(OrganisationWindow):
    """The users that are asked for."""

    name_prefix: Prefix = None
    role: RoleName | None = Field(
        default=None, description="Only those who have this role somewhere in the organisation."
    )
    workspace: str | None = Field(
        default=None,
        max_length=26,
        description="Only those with a role in this workspace (id); empty: in the organisation.",
    )


class NewUser(Body):
    """A user to make, with a first role in the organisation or one of its workspaces."""

    name: UserName
    role: RoleName
    workspace: str = Field(
        default="", description="The workspace's id; empty for the whole organisation."
    )
    is_member_elsewhere: bool = Field(
        default=False,
        description="True to take in a user of another organisation, by their name; only"
        " administrators of the master may do that.",
    )


class NewGrant(Body):
    """A role to give."""

    role: RoleName
    workspace: str = Field(
        default="", description="The workspace's id; empty for the whole organisation."
    )


class Membership(View):
    """A role of a user in an organisation or workspace."""

    user_id: str
    workspace: str
    role: int


class UserGrant(View):
    """A role in the organisation, or in one of its workspaces."""

    workspace: str = Field(description="The workspace's id; empty for the whole organisation.")
    role: RoleName


class User(Versioned):
    """A person, as an organisation sees them."""

    name: str
    created_at: Moment
    is_disabled: bool
    grants: list[UserGrant]


class InvitedUser(User):
    """A new member, with the token that lets a new user choose a password, once."""

    setup_token: str | None = Field(
        description="For `POST /api/v1/auth/setup`, within 7 days; shown only here. Null for a user"
        " of another organisation, whose link or password stays as it is."
    )


class Account(View):
    """A user, as the master sees them."""

    id: str
    name: str
    password_hash: str | None
    is_master_admin: bool
    is_disabled: bool
    version: int
    created_at: Moment
