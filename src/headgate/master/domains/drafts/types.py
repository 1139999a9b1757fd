"""The types that describe drafts and previews."""

from typing import Annotated, Literal

from pydantic import Field

from headgate.master.api.filters import By, Prefix
from headgate.master.api.problems import Fault
from headgate.master.api.types import Body, Moment, Name, Versioned, View, Window
from headgate.master.domains.resources.types import Change, Kind

Changes = Annotated[list[Change], Field(min_length=1, max_length=10_000)]


class DraftWindow(Window):
    """The drafts that are asked for."""

    name_prefix: Prefix = None
    created_by: By | None = Field(
        default=None, description="Only those that this user or token (id) made."
    )


class NewDraft(Body):
    """A draft to make."""

    name: Name
    changes: Changes


class DraftChanges(Body):
    """The changes that a draft shall make."""

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


class ObjectDiff(View):
    """One object that differs."""

    change: Literal["added", "removed", "changed"]
    path: str
    kind: Kind | None = Field(description="Null for a secret file.")
    name: str
    keys: list[str] = Field(description="The top-level keys that differ, of a changed object.")


class Inability(View):
    """Something that an engine cannot do: it would refuse the whole revision."""

    object: str = Field(description="The path of the object in the revision.")
    path: str = Field(description="The JSON path in the object.")
    detail: str = Field(description="What is missing.")
    allowed: str = Field(description="What to do.")


class EngineEffect(View):
    """The effect of publishing on the engines of a fleet that can do the same."""

    engine: str
    version: str
    agents: int = Field(description="How many agents have such an engine.")
    is_known: bool = Field(
        description="Whether they reported what they can do; if not, only serving it can tell."
    )
    refuses: list[Inability]
    notes: list[str] = Field(description="What works otherwise there.")
    change: Literal["none", "in-place", "reload", "unknown"] = Field(
        description="How they would take the config over."
    )


class MovedRequest(View):
    """A request that would go elsewhere."""

    method: str
    url: str
    listener: str
    before: str
    after: str
    count: int = Field(description="How often nodes had it lately; 1 for one that was made.")


class RequestsEffect(View):
    """The requests that would go elsewhere."""

    source: Literal["made", "seen"] = Field(
        description="`seen`: requests that nodes had lately; `made`: none are known, these are made"
        " out of the routes before and after."
    )
    asked: int = Field(description="How many requests were tried.")
    moved: list[MovedRequest] = Field(description="At most 100, what came most often first.")
    more: int = Field(description="How many more would go elsewhere.")
    searched: int = Field(description="The logs of how many agents were searched for requests.")
    unsearched: int = Field(description="How many agents could not be searched.")


class NodeEffect(View):
    """The config that a node would get, in a fleet whose nodes have their own values."""

    agent: str = Field(description="The agent's id.")
    name: str
    digest: str = Field(
        description="The sha256 of what it would get, without the contents of secret files: nodes"
        " with the same one get the same; empty if a value is missing or wrong."
    )
    values: dict[str, dict[str, bool | int | str]] = Field(
        description="Its values, by virtual host and parameter."
    )
    objects: list[ObjectDiff] = Field(
        description="What differs from what it gets of the revision before."
    )


class FleetEffect(View):
    """The effect of publishing on a fleet."""

    fleet: str = Field(description="The fleet's name.")
    revision: int | None = Field(description="What was published to it last.")
    objects: list[ObjectDiff]
    left_out: list[str] = Field(
        description="The paths of objects whose labels choose other fleets."
    )
    errors: list[Fault] = Field(description="What refuses what the fleet would get.")
    unheard: int = Field(description="How many agents have not said which engine they run.")
    engines: list[EngineEffect]
    requests: RequestsEffect
    nodes: list[NodeEffect] = Field(
        description="At most 100, by name; none where every node gets the same."
    )
    more_nodes: int = Field(description="How many more there are.")
    changed_nodes: int = Field(
        description="How many nodes would get something else than what was published last."
    )


class Preview(View):
    """The effects of publishing."""

    draft_tag: str | None = Field(
        default=None,
        description="The draft that was looked at, as publishing it takes it; null: none.",
    )
    objects: list[ObjectDiff]
    errors: list[Fault] = Field(description="What refuses it.")
    warnings: list[Fault] = Field(description="Lints: valid, but probably mistakes.")
    fleets: list[FleetEffect] = Field(
        description="The fleet that is named, or up to 20 of the workspace."
    )
