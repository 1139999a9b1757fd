"""The API's types for explanations."""

from typing import Annotated, Any, Literal

from pydantic import Field

from headgate.master.api.types import Body, View

_Text = Annotated[str, Field(max_length=8_192)]
_Values = Annotated[list[_Text], Field(max_length=100)]


class ExplainRequest(Body):
    """A request, or with a URL such as `tcp://127.0.0.1:5432` a connection, or as
    `udp://127.0.0.1:53` a flow, and a config.
    """

    config: Literal["serving", "resources"] = Field(
        default="serving",
        description="`serving`: what the agent is proven to serve. `resources`: what it would get"
        " if the workspace's resources were published now.",
    )
    url: Annotated[str, Field(min_length=1, max_length=8_192)]
    method: Annotated[str, Field(min_length=1, max_length=64)] = "GET"
    headers: Annotated[dict[_Text, _Text | _Values], Field(max_length=100)] = Field(
        default={}, description="A value, or several, for each name."
    )
    client: _Text = Field(default="127.0.0.1", description="The peer's address.")
    listener: _Text | None = Field(
        default=None,
        description="The listener that gets it; null: one that speaks the URL's scheme.",
    )
    client_subject: _Text | None = Field(
        default=None, description="The subject of the client's certificate (RFC 4514)."
    )
    client_san: _Values = Field(
        default=[], description="Its alternative names, each with its type: `dns:a.example`."
    )
    client_fingerprint: _Text | None = Field(
        default=None, description="Its SHA-256 in lower-case hex."
    )
    sni: _Text | None = Field(
        default=None,
        description="Of a connection, or of a flow with QUIC: the server name that its client asks "
        "for.",
    )
    alpn: _Values = Field(
        default=[], description="Of a connection: the protocols that its client offers."
    )


class Explained(View):
    """The destination of the request, and the reasons for it."""

    agent: str
    name: str = Field(description="The agent's name.")
    revision: int | None = Field(
        description="The number of the revision that was asked; null for `resources`."
    )
    explanation: dict[str, Any] = Field(
        description="As `headgate explain --output json` gives it; a master knows no states of"
        " endpoints, and values of secrets are `(secret)`."
    )
