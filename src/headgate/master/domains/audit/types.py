"""The types that describe the audit log."""

from pydantic import Field

from headgate.master.api.types import Moment, View


class AuditEntry(View):
    """One line of the audit log."""

    id: str
    at: Moment
    workspace: str = Field(description="The workspace's id; empty for the whole organisation.")
    actor: str = Field(description="The id of the user, token or agent; empty if unknown.")
    actor_name: str
    action: str = Field(description="The method and route, or what happened.")
    object: str = Field(description="The path of the object.")
    address: str = Field(description="From where.")
    outcome: str = Field(description="`done` or `refused`.")
