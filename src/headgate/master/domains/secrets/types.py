"""The types that describe a secret file: everything but its content."""

from typing import Annotated

from pydantic import Field

from headgate.master.api.filters import By, Prefix
from headgate.master.api.types import Body, Moment, Versioned, Window

SecretName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$",
        description="Up to 128 letters, digits and `._-`; configs write `secrets/NAME`.",
    ),
]


class SecretWindow(Window):
    """The secret files that are asked for."""

    name_prefix: Prefix = None
    changed_by: By | None = Field(
        default=None, description="Only those that this user or token (id) wrote last."
    )


class NewSecret(Body):
    """The content of a secret file."""

    content: Annotated[str, Field(min_length=1, max_length=128 << 10)] = Field(
        description="The file's text, such as a key in PEM.", json_schema_extra={"writeOnly": True}
    )


class Secret(Versioned):
    """A secret file, without its content."""

    name: str
    size: int = Field(description="Its bytes.")
    changed_at: Moment
    changed_by: str


class SealedSecret(Secret):
    """A secret file as the database has it."""

    sealed: str
