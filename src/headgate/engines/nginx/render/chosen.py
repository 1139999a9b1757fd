"""Renders access logs that the config lays out: chosen fields as JSON, or a template."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from headgate.features.nginx import About
from headgate.features.templates import pieces
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Arg, Template, Var, Word, directive
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
"""What nginx can say of nobody, and why."""


class Field(NamedTuple):
    """What a field is in nginx: a variable, or a text that never changes."""

    value: Var | str
    is_number: bool = False


def log_format(name: str, text: Template, escape: str) -> Node:
    """Returns a format under a name; `escape` as nginx has it."""
    words: tuple[Arg, ...] = (Word(name), Word(f"escape={escape}"), text)
    return directive("log_format", *words)


def chosen_format(
    name: str, log: AccessLog, known: Mapping[str, Field], about: About
) -> Node | None:
    """Returns the format that the config lays out; None if it has one of the fixed formats.

    `known` are the fields of what is logged; of others, fields are left out and variables are `-`.
    Fields that nginx never knows are refused.
    """
    if log.template is not None:
        text = _text(log.template, known, about)
        return log_format(name, text, "default")
    if log.fields:
        return log_format(name, _object(log.fields, known, about), "json")
    return None


def _object(names: tuple[str, ...], known: Mapping[str, Field], about: About) -> Template:
    parts: list[str | Var] = []
    lead = "{"
    for at, name in enumerate(names):
        if name in _UNKNOWN:
            about.refuse(f"fields[{at}]", f"{_UNKNOWN[name]}, so there is no {name}")
        elif (field := known.get(name)) is not None:
            quote = "" if field.is_number else '"'
            parts += [f'{lead}"{name}":{quote}', field.value, quote]
            lead = ","
    return Template((*(parts or ["{"]), "}"))


def _text(template: str, known: Mapping[str, Field], about: About) -> Template:
    parts: list[str | Var] = []
    for kind, text in pieces(template):
        if kind == "text":
            parts.append(text)
        elif kind == "dollar":
            parts.append("$")
        elif text in _UNKNOWN:
            about.refuse("template", f"{_UNKNOWN[text]}, so ${{{text}}} has no value there")
        else:
            parts.append(known[text].value if text in known else "-")
    return Template(tuple(parts))
