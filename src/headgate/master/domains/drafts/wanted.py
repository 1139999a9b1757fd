"""The request for a preview."""

from pydantic import Field

from headgate.master.api.types import Name
from headgate.master.domains.resources.types import Change, InSet
from headgate.master.domains.templates.types import NewTemplate, NewVirtualHost


class PreviewRequest(InSet):
    """The config to look at: the workspace's resources, with a draft or these changes. Its set is
    that of the templates and virtual hosts; changes say theirs themselves."""

    draft: Name | None = None
    changes: list[Change] = Field(default=[], max_length=10_000)
    fleet: str | None = Field(
        default=None,
        description="Compare with what was published last to this fleet; null: with the"
        " workspace's resources.",
    )
    templates: dict[Name, NewTemplate] = Field(
        default={},
        max_length=100,
        description="Templates as they would be written, beside the changes.",
    )
    virtual_hosts: dict[Name, NewVirtualHost | None] = Field(
        default={},
        max_length=1_000,
        description="Virtual hosts as they would be written, with the objects that they make; null:"
        " removed.",
    )
    seen: Name | None = Field(
        default=None,
        description="A fleet whose nodes are asked which requests they had lately: those are tried"
        " instead of made ones. It needs the permission logs.read, is in the audit log, and counts"
        " as a search of logs.",
    )
