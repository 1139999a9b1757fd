"""The types that describe the audit log."""

from typing import Literal

from pydantic import Field

from headgate.master.api.filters import By, Instant
from headgate.master.api.types import Moment, OrganisationWindow, View, Window


class MasterAuditWindow(Window):
    """The lines of the master's own audit log that are asked for."""

    actor: By | None = Field(default=None, description="Only those of this actor (id or name).")
    action: By | None = Field(
        default=None, description="Only those whose action begins so, such as `DELETE`."
    )
    object: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="Only those whose object begins so, such as `/api/v1/workspaces/default`.",
    )
    outcome: Literal["done", "refused"] | None = Field(
        default=None, description="Only those that ended so."
    )
    since: Instant | None = Field(default=None, description="Only those from this time on.")
    until: Instant | None = Field(default=None, description="Only those from before this time.")


class AuditWindow(MasterAuditWindow, OrganisationWindow):
    """The lines of an organisation's audit log that are asked for."""

    workspace: str | None = Field(
        default=None,
        max_length=26,
        description="Only those of this workspace (id); empty: of the whole organisation.",
    )


class AuditEntry(View):
    """One line of the audit log."""

    id: str
    at: Moment
    workspace: str = Field(description="The workspace's id; empty for what belongs to none.")
    actor: str = Field(description="The id of the user, token or agent; empty if unknown.")
    actor_name: str
    action: str = Field(description="The method and route, or what happened.")
    object: str = Field(description="The path of the object.")
    address: str = Field(description="From where.")
    outcome: str = Field(description="`done` or `refused`.")
