"""What a draft is, and what a preview says."""

from typing import Annotated, Literal

from pydantic import Field

from headgate.master.api.problems import Fault
from headgate.master.api.types import Body, Moment, Name, Versioned, View
from headgate.master.domains.resources.types import Change, Kind

Changes = Annotated[list[Change], Field(min_length=1, max_length=10_000)]


class NewDraft(Body):
    """A draft to make."""

    name: Name
    changes: Changes


class DraftChanges(Body):
    """What a draft shall change."""

    changes: Changes


class Draft(Versioned):
    """Changes that wait to be published."""

    name: str
    changes: list[Change]
    created_by: str
    changed_at: Moment


class DraftRow(View):
    """A draft as the database has it."""

    id: str
    version: int
    name: str
    changes: str
    created_by: str
    changed_at: int


class PreviewRequest(Body):
    """What to look at: the workspace's resources, with a draft or these changes."""

    draft: Name | None = None
    changes: list[Change] = Field(default=[], max_length=10_000)
    fleet: str | None = Field(
        default=None,
        description="Compare with what was published last to this fleet; null: with the"
        " workspace's resources.",
    )


class ObjectDiff(View):
    """One object that differs."""

    change: Literal["added", "removed", "changed"]
    path: str
    kind: Kind | None = Field(description="Null for a secret file.")
    name: str
    keys: list[str] = Field(description="The top-level keys that differ, of a changed object.")


class Preview(View):
    """What publishing would do."""

    objects: list[ObjectDiff]
    errors: list[Fault] = Field(description="What refuses it.")
    warnings: list[Fault] = Field(description="Lints: valid, but probably mistakes.")
