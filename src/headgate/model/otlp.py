"""Collectors that a node sends to with OTLP over HTTP."""

import re
from collections.abc import Iterator, Set
from typing import Annotated, Final, cast

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    Strict,
    ValidationInfo,
    WithJsonSchema,
)

from headgate.features import syntax
from headgate.features.base import Checked
from headgate.features.fields import DurationText
from headgate.features.values import DISTINCT_HEADERS, FILE_SCHEMA, Secrets, named_file
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration
from headgate.model.outlet import OutletTls

_OWN: Final = frozenset(
    {"connection", "content-length", "content-type", "host", "transfer-encoding", "user-agent"}
)


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise Invalid(f"{syntax.described(name)} is not a header name", syntax.HEADER_NAME_ALLOWED)
    header = syntax.header_name(name)
    if header in _OWN:
        raise Invalid(f'"{header}" belongs to the export', "leave it out: headgate sets it")
    return header


def _value(value: object, info: ValidationInfo) -> str:
    if (path := named_file(value)) is not None:
        context = cast(Secrets, info.context)
        text = context.secret(path)
        context.hide(text)
        if not _is_line(text):
            raise Invalid(f'the text of "{path}" is not a header\'s value', _LINE)
        return text
    if isinstance(value, str) and _is_line(value):
        return value
    raise Invalid(
        f"{syntax.described(value)} is not a header's value", f'{_LINE}, or {{ file = "…" }}'
    )


_LINE: Final = "write one line of visible ASCII and blanks"


def _is_line(text: str) -> bool:
    return bool(text) and text == text.strip() and all(" " <= c <= "~" for c in text)


def _endpoint(url: str) -> str:
    found = _URL.fullmatch(url)
    if found is None or (found[1] is not None and not 0 < int(found[1]) <= _MOST_PORT):
        raise Invalid(f'"{url}" is not the URL of a collector', _URL_ALLOWED)
    return url


_URL: Final = re.compile(
    r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(?:[/][!-~]*)?"
)
_URL_ALLOWED: Final = 'write one such as "http://127.0.0.1:4318", or with https for TLS'
_MOST_PORT: Final = 65_535

CollectorUrl = Annotated[str, AfterValidator(_endpoint)]
ServiceName = Annotated[str, Strict(), Field(min_length=1, max_length=255)]


class OtlpExport(Checked):
    """A collector, and what it is sent beside the items."""

    endpoint: CollectorUrl | None = Field(default=None, description="The collector.")
    tls: OutletTls | None = Field(
        default=None, description="TLS options for an `https` endpoint; absent = the defaults."
    )
    service_name: ServiceName = Field(
        default="headgate", description="The `service.name` of what is sent."
    )
    headers: Annotated[
        dict[
            Annotated[
                str,
                PlainValidator(_name),
                WithJsonSchema({"type": "string", "format": "header-name"}),
            ],
            Annotated[
                str,
                PlainValidator(_value),
                WithJsonSchema({"anyOf": [{"type": "string"}, FILE_SCHEMA]}),
            ],
        ],
        DISTINCT_HEADERS,
    ] = Field(
        default_factory=dict,
        description="Headers of each export, such as one with a key; a value may come from a file.",
    )
    timeout: DurationText = Field(
        default=Duration(10_000), description="How long one export may take."
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for TLS towards an endpoint that has none."""
        if self.tls is not None and self.endpoint is not None and not self.has_tls:
            yield Invalid(
                "an endpoint with http has no TLS", "write https in `endpoint`", at=("tls",)
            )

    @property
    def has_tls(self) -> bool:
        """True if the collector is reached over TLS."""
        return self.endpoint is not None and self.endpoint.startswith("https://")
