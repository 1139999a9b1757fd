"""The types that describe revisions."""

from typing import Annotated

from pydantic import BaseModel, Field

from headgate.master.api.filters import By, InFleet, Instant
from headgate.master.api.problems import Fault
from headgate.master.api.types import Body, Moment, Name, Versioned, View, Window
from headgate.master.domains.drafts.types import ObjectDiff
from headgate.master.domains.resources.types import Kind
from headgate.master.store.schema import ID_LENGTH

Message = Annotated[str, Field(max_length=2_000, description="Why; shown in the history.")]

DraftTag = Annotated[str, Field(pattern=rf"^[0-9]{{1,18}}-[0-9a-z-]{{{ID_LENGTH}}}$")]


class RevisionWindow(Window):
    """The revisions that are asked for."""

    fleet: InFleet = None
    author: By | None = Field(
        default=None, description="Only those that this user or token (id or name) published."
    )
    since: Instant | None = Field(default=None, description="Only those from this time on.")
    until: Instant | None = Field(default=None, description="Only those from before this time.")


class NewRevision(Body):
    """The revision to publish: the workspace's resources, with the changes of a draft."""

    fleet: str = Field(description="The fleet's name or id.")
    message: Message = ""
    draft: Name | None = Field(
        default=None, description="Its changes become part of the resources; then it is removed."
    )
    draft_tag: DraftTag | None = Field(
        default=None,
        description="The draft as it was looked at, as `draft_tag` of a preview says it: its"
        " `version`, a hyphen, and its `id`. Another one is refused with 412. A draft with"
        " `nginx_imports`, whose text nginx runs, is published with it alone.",
    )
    is_served: bool = Field(
        default=True,
        description="Every agent must serve it at once, in spite of freezes; for approvers. "
        "Refused where the fleet's policy asks for approvals. False: it waits for a rollout.",
    )


class Again(Body):
    """The reason why an older revision is published again."""

    message: Message = ""


class Revision(Versioned):
    """A config that was published to a fleet. Nothing changes it."""

    fleet_id: str
    number: int = Field(description="Grows by one for each revision of a fleet.")
    hash: str = Field(description="sha256 of its manifest, which the master signs.")
    author: str = Field(description="The id of the user or token that published it.")
    author_name: str
    message: str
    created_at: Moment
    restores: int | None = Field(description="The number of the older revision that it repeats.")


class Published(Revision):
    """A new revision, and what it changes."""

    objects: list[ObjectDiff]
    warnings: list[Fault]


class EntryView(View):
    """One file of a revision."""

    path: str
    sha256: str = Field(description="Empty for a secret file, which somebody could guess by it.")
    size: int


class RevisionDetail(Revision):
    """A revision with what it holds."""

    entries: list[EntryView]


class HeldResource(View):
    """One object of a revision's config."""

    kind: Kind
    name: str
    spec: dict[str, object]


class RevisionConfig(View):
    """The config of a revision, without its secret files."""

    id: str
    number: int
    hash: str = Field(description="sha256 of the manifest that lists them.")
    resources: list[HeldResource]


class NodeConfig(View):
    """The config that an agent would get if the workspace's resources were published now."""

    agent: str = Field(description="The agent's id.")
    name: str
    digest: str = Field(description="As a preview has it: the same for nodes that get the same.")
    values: dict[str, dict[str, bool | int | str]] = Field(
        description="The node's own values, by virtual host and parameter."
    )
    resources: list[HeldResource]


class SignedManifest(View):
    """The manifest of a revision, as agents get it."""

    id: str
    fleet_id: str
    number: int
    hash: str
    manifest: bytes
    signature: bytes
    created_at: int = 0
    recipes: str | None = None
    """The recipes for values of nodes in its objects, as JSON; None: every node gets the same."""


class NodeManifest(View):
    """The manifest of a revision for one node."""

    id: str
    revision_id: str
    agent: str
    hash: str
    manifest: bytes
    signature: bytes


class Blob(View):
    """A content of revisions; a secret file's is sealed."""

    sha256: str
    content: bytes | None
    sealed: str | None


class ManifestKey(View):
    """A key that signs manifests, sealed."""

    id: str
    sealed: str
    public: bytes
    created_at: int


class Named(BaseModel):
    """The manifest of a revision, which names its contents."""

    id: str
    manifest: bytes


class Owner(BaseModel):
    """The workspace of a row."""

    organisation_id: str
    workspace_id: str
