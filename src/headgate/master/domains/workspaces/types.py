"""The types that describe workspaces."""

from headgate.master.api.types import Body, Moment, Name, Versioned


class NewWorkspace(Body):
    """A workspace to make."""

    name: Name


class Workspace(Versioned):
    """A part of an organisation, with its own config, fleets and agents."""

    organisation_id: str
    name: str
    created_at: Moment
