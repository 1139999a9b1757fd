"""`[node.access_log]`: what lines say, where they go, and what they never show."""

import re
from collections.abc import Iterator, Set
from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from headgate.features.base import Checked, OneOf, excluding
from headgate.features.fields import EndpointAddress
from headgate.kernel.errors import Invalid
from headgate.model.log_fields import LogFields, LogTemplate
from headgate.model.otlp import CollectorUrl, OtlpExport, ServiceName
from headgate.model.shorthand import OrWord

LogFormat = Literal["json", "combined", "common"]


class LogTable(OneOf):
    """The sink of access records; exactly one is given."""

    path: str | None = Field(
        default=None, description="The absolute path of a file; SIGUSR1 reopens it."
    )
    syslog: EndpointAddress | None = Field(
        default=None,
        description='The address that RFC 5424 datagrams are sent to: `"unix:/dev/log"` or '
        '`"host:port"` (UDP).',
    )


def _sink(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in _WORDS:
        raise Invalid(f'"{value}" is not a sink', _SINKS)
    return _WORDS[value]


class NoSink(LogTable):
    """The absence of a sink, which `off` stands for."""

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields nothing: its keys are not there."""
        return iter(())


_OFF: Final = NoSink()
_WORDS: Final = {"stdout": None, "off": _OFF}
_SINKS = (
    'write "stdout", "off", { path = "/var/log/headgate/access.log" } or '
    '{ syslog = "unix:/dev/log" }'
)


class LogExport(OtlpExport):
    """A collector that gets the records as log records of OpenTelemetry."""

    endpoint: CollectorUrl = Field(
        description="The collector's URL for OTLP over HTTP, with TLS if it begins with `https`; a "
        "URL without a path gets `/v1/logs`."
    )
    service_name: ServiceName = Field(
        default="headgate", description="The `service.name` of the log records."
    )


_PARAMETER: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
MOST_PARAMETERS: Final = 64
REDACTED: Final = (
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth_token",
    "client_secret",
    "id_token",
    "jwt",
    "passwd",
    "password",
    "refresh_token",
    "secret",
    "sessionid",
    "sig",
    "signature",
    "token",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-signature",
)
"""Parameters of a query that carry credentials nearly everywhere."""


def _parameter(name: str) -> str:
    if _PARAMETER.fullmatch(name) is None:
        raise Invalid(
            f'"{name}" is not the name of a parameter',
            "write up to 64 letters, digits, dots, hyphens and _",
        )
    return name.lower()


Parameter = Annotated[
    str,
    AfterValidator(_parameter),
    WithJsonSchema({"type": "string", "pattern": f"^{_PARAMETER.pattern}$"}),
]


class AccessLog(Checked):
    """The access log."""

    format: LogFormat = Field(
        default="json", description="`json`, or Apache's `combined` or `common`."
    )
    fields: Annotated[LogFields, Field(min_length=1)] | None = Field(
        default=None,
        description="The [fields](access-log.md#format-json) of each JSON line, in this order, "
        "which may include [`header:NAME`](access-log.md#request-headers) and "
        "[`jwt:CLAIM`](access-log.md#claims-of-a-token); absent = all.",
    )
    template: LogTemplate | None = Field(
        default=None,
        description="The text of each line, instead of a format, with fields as variables: "
        '`${client_ip} "${target}" ${status} "${header:accept-language}"`; `$$` is a dollar sign.',
    )
    sink: Annotated[LogTable | None, BeforeValidator(_sink), OrWord(("stdout", "off"))] = Field(
        default=None,
        description="`stdout`, a file, or syslog; `off` if only `otlp` gets the records.",
        json_schema_extra={"default": "stdout"},
    )
    otlp: LogExport | None = Field(
        default=None,
        description="The collector that gets each line as a [log "
        "record](access-log.md#log-records), in addition to the sink. Native engine only.",
    )

    @property
    def has_sink(self) -> bool:
        """True if lines go to a sink."""
        return self.sink is not _OFF

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields errors for two ways to say what a line has, and for lines that nobody gets."""
        if not self.has_sink and self.otlp is None and not {"otlp", "sink"} & wrong:
            yield Invalid(
                "no sink and no collector gets the lines",
                'name a collector in `otlp`, or write access_log = "off" in [node]',
                at=("sink",),
            )
        given = {"format", "fields", "template"} & (self.model_fields_set | wrong)
        if "template" in given and len(given) > 1:
            yield excluding(sorted(given), "write `template` alone")
        elif "fields" in given and "format" not in wrong and self.format != "json":
            yield Invalid(
                f'`fields` are those of JSON, and the format is "{self.format}"',
                'write format = "json", or a `template`',
                at=("fields",),
            )


def read_log(value: object) -> object:
    """Returns the table that a word stands for."""
    if not isinstance(value, str):
        return value
    if value == "off":
        return None
    if value in get_args(LogFormat):
        return {"format": value}
    raise Invalid(
        f'"{value}" is not an access log', 'write "off", "json", "combined", "common" or a table'
    )
