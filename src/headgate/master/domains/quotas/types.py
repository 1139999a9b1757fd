"""The types that describe quotas."""

from typing import Annotated

from pydantic import Field

from headgate.master.api.types import Body, Versioned, View

_Count = Annotated[int, Field(ge=0, le=1_000_000)]


class QuotaChange(Body):
    """The changes to the quotas of a workspace; what is left out stays."""

    routes: _Count | None = None
    fleets: _Count | None = None
    agents: _Count | None = None
    tokens: _Count | None = None
    revisions: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    requests_per_minute: Annotated[int, Field(ge=60, le=1_000_000)] | None = None


class QuotaLimits(View):
    """The limits of a workspace."""

    routes: int
    fleets: int
    agents: int = Field(description="Agents that are not revoked.")
    tokens: int = Field(description="API tokens of the workspace that are not revoked.")
    revisions: int = Field(
        description="How many revisions of each fleet are kept; older ones that nothing wants go."
    )
    requests_per_minute: int = Field(description="Requests to the workspace's routes of the API.")


class QuotaUse(View):
    """The numbers of objects that a workspace has."""

    routes: int
    fleets: int
    agents: int
    tokens: int


class Quotas(Versioned):
    """The limits of a workspace, and its use of them; `id` is the workspace's."""

    limits: QuotaLimits
    used: QuotaUse


class QuotaRow(View):
    """Quotas as they are stored."""

    version: int
    routes: int
    fleets: int
    agents: int
    tokens: int
    revisions: int
    requests_per_minute: int
