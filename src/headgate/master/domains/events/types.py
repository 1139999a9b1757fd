"""The types that describe events."""

import json

from pydantic import Field, JsonValue, field_validator

from headgate.master.api.types import Moment, View


class WorkspaceEvent(View):
    """Something that happened in a workspace."""

    seq: int = Field(description="Grows by one with each event of the workspace.")
    type: str = Field(description="What happened: `resources.changed`.")
    object: str = Field(description="The path of the object, or its id.")
    actor: str = Field(description="The id of who did it; empty for the master itself.")
    at: Moment
    detail: dict[str, JsonValue] | None = Field(
        default=None, description="What else is known; for agents the fleet, revision and fault."
    )

    @field_validator("detail", mode="before")
    @classmethod
    def _read(cls, value: JsonValue) -> JsonValue:
        """Reads the JSON of a row."""
        found: JsonValue = json.loads(value) if isinstance(value, str) else value
        return found


class News(View):
    """An event that is to be added."""

    type: str
    object: str
    actor: str = ""
    detail: dict[str, JsonValue] | None = None


class Gap(View):
    """Events that are gone."""

    first: int = Field(serialization_alias="from")
    last: int = Field(serialization_alias="to")


class EventPage(View):
    """A part of the events of a workspace."""

    items: list[WorkspaceEvent]
    next: str | None = Field(description="The cursor of the next part; null at the end.")
    newest: int = Field(description="The number of the newest event; 0 before the first.")
    gap: Gap | None = Field(
        default=None, description="Events that were asked for and are not kept any more."
    )


class Bounds(View):
    """The range of a workspace's events that are still there."""

    oldest: int
    newest: int
