"""Renders access logs that the config lays out: chosen fields as JSON, or a template."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from headgate.engines.nginx.render.context import Context
from headgate.features.log_named import CLAIM
from headgate.features.nginx import About
from headgate.features.templates import pieces
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Arg, MapKey, Template, Var, Word, directive
from headgate.plan.settings import AccessLog

_UNKNOWN: Final = {
    "reused": "nginx does not say whether a connection was used before",
    "tries": "nginx counts no tries",
    "client_san": "nginx has no variable of alternative names",
    "client_spiffe": "nginx has no variable of alternative names",
    "client_fingerprint": "nginx has the sha1 of a certificate alone",
    "trace_id": "nginx takes no part in traces",
    "span_id": "nginx takes no part in traces",
}
"""The fields that nginx never knows, and why."""
_CLAIMS: Final = "nginx verifies no tokens"


_NEVER_EMPTY: Final = frozenset(
    {
        *("remote_addr", "remote_port", "time_iso8601", "time_local", "status", "scheme"),
        *("bytes_received", "bytes_sent", "body_bytes_sent", "request_time", "session_time"),
        *("request_id", "hg_request_id", "hg_listener", "hg_reason", "hg_udp_reason"),
        *("hg_log_reason", "hg_log_bytes_in", "hg_log_connect_us", "hg_log_first_byte_us"),
        "hg_log_total_us",
    }
)


class Field(NamedTuple):
    """The form of a field in nginx: a variable, or a text that never changes."""

    value: Var | str
    is_number: bool = False


def log_format(name: str, text: Template, escape: str) -> Node:
    """Returns a format under a name; `escape` as nginx has it."""
    words: tuple[Arg, ...] = (Word(name), Word(f"escape={escape}"), text)
    return directive("log_format", *words)


def said(ctx: Context, variable: Var) -> Var:
    """Returns what a text says in place of a variable: `-` if it is empty.

    nginx does so for what there is not, and not for an empty text, which maps make of that.
    """
    if variable.name in _NEVER_EMPTY:
        return variable
    return ctx.shared.map("log_said", variable, ((MapKey(""), Word("-")),), variable)


def text_of(ctx: Context, parts: Iterable[str | Var]) -> Template:
    """Returns the text of a line in which no value is empty."""
    return Template(tuple(said(ctx, one) if isinstance(one, Var) else one for one in parts))


def chosen_format(
    ctx: Context, name: str, log: AccessLog, known: Mapping[str, Field]
) -> Node | None:
    """Returns the format that the config lays out; None if it has one of the fixed formats.

    `known` are the fields of what is logged; of others, fields are left out and variables are `-`.
    Fields that nginx never knows are refused.
    """
    about = ctx.findings.of("settings", "node", "access_log")
    if log.template is not None:
        text = text_of(ctx, _parts(log.template, known, about))
        return log_format(name, text, "default")
    if log.fields:
        return log_format(name, _object(log.fields, known, about), "json")
    return None


def _missing(name: str) -> str | None:
    """Returns why nginx never knows a field; None if it may."""
    return _CLAIMS if name.startswith(CLAIM) else _UNKNOWN.get(name)


def _object(names: tuple[str, ...], known: Mapping[str, Field], about: About) -> Template:
    parts: list[str | Var] = []
    lead = "{"
    for at, name in enumerate(names):
        if (why := _missing(name)) is not None:
            about.refuse(f"fields[{at}]", f"{why}, so there is no {name}")
        elif (field := known.get(name)) is not None:
            quote = "" if field.is_number else '"'
            parts += [f'{lead}"{name}":{quote}', field.value, quote]
            lead = ","
    return Template((*(parts or ["{"]), "}"))


def _parts(template: str, known: Mapping[str, Field], about: About) -> list[str | Var]:
    parts: list[str | Var] = []
    for kind, text in pieces(template):
        if kind == "text":
            parts.append(text)
        elif kind == "dollar":
            parts.append("$")
        elif (why := _missing(text)) is not None:
            about.refuse("template", f"{why}, so ${{{text}}} has no value there")
        else:
            parts.append(known[text].value if text in known else "-")
    return parts
