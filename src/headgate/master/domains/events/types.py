"""What an event says."""

from pydantic import Field

from headgate.master.api.types import Moment, View


class WorkspaceEvent(View):
    """Something that happened in a workspace."""

    seq: int = Field(description="Grows by one with each event of the workspace.")
    type: str = Field(description="What happened: `resources.changed`.")
    object: str = Field(description="The path of the object, or its id.")
    actor: str = Field(description="The id of who did it; empty for the master itself.")
    at: Moment


class Bounds(View):
    """Which events of a workspace are still there."""

    oldest: int
    newest: int
