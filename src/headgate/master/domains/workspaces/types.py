"""The types that describe workspaces."""

from pydantic import Field

from headgate.master.api.filters import Prefix
from headgate.master.api.types import Body, Moment, Name, Versioned, Window


class WorkspaceWindow(Window):
    """The workspaces that are asked for."""

    name_prefix: Prefix = None
    organisation: str | None = Field(
        default=None, max_length=26, description="Only those of this organisation (id)."
    )


class NewWorkspace(Body):
    """A workspace to make."""

    name: Name


class Workspace(Versioned):
    """A part of an organisation, with its own config, fleets and agents."""

    organisation_id: str
    name: str
    created_at: Moment
