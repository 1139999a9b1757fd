"""Converts `log_format` to what `node.access_log` says of lines, and back.

A format is taken where every variable of it has a field of the same meaning and form
(`common/logged.py`), so that a request has the same line; else the error names each that has none.
"""

import re
from collections.abc import Sequence, Set
from typing import Final, NamedTuple

from headgate._core import is_client_claim
from headgate.engines.nginx.common import logged
from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.objects import NotExpressibleError, Table, Toml, items_in
from headgate.engines.nginx.observe.log_format import COMBINED, Escape, format_of
from headgate.features.log_named import HEADER
from headgate.features.templates import pieces
from headgate.kernel.redaction import names_secret
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Template, Var

_NEAREST: Final = (
    'the nearest is `format = "combined"`, whose lines end with the time that a request took and '
    "the reason"
)
_OF_HEADER: Final = "http_"
_ID: Final = "request_id"
_TRUSTED_ID: Final = "is nginx's own (`${request_id}` may be that of a trusted peer)"
_KEY: Final = r'"([a-z0-9_:-]+)":(?:"\$\{?(\w+)\}?"|\$\{?(\w+)\}?)'
_OBJECT: Final = re.compile(rf"\{{{_KEY}(?:,{_KEY})*\}}", re.ASCII)
_ENTRY: Final = re.compile(_KEY, re.ASCII)


class Format(NamedTuple):
    """A format: its name, its text with nginx's variables, and how it escapes their values.

    `is_trusting`: listeners believe some peers, of whom a request may have its id. `own` are the
    variables that the config sets, in lower case.
    """

    name: str
    text: str
    escape: Escape = "default"
    is_trusting: bool = False
    own: Set[bytes] = frozenset()


def read(line: Directive) -> Format:
    """Returns the format of a `log_format`; raises `NotExpressibleError` if it is not UTF-8."""
    name, *words = (values.text(value) for value in line.values)
    return Format(name, *format_of(words))


BUILT_IN: Final = Format("combined", COMBINED)
"""The format that nginx has without a `log_format`."""


def table_of(one: Format) -> dict[str, Toml]:
    """Returns the key of `node.access_log` with the line, `template` or `fields`.

    Raises `NotExpressibleError` with every variable that is in the way.
    """
    if one.escape == "json" and (fields := _fields(one)):
        return {"fields": fields}
    whys: dict[str, None] = {}
    said: dict[bytes, bytes] = {}
    for name in dict.fromkeys(values.names(one.text.encode())):
        try:
            said[name] = _told(name.decode().lower(), one).encode()
        except NotExpressibleError as error:
            whys[f"`${name.decode()}` {error}"] = None
    if whys:
        nearest = [_NEAREST] if one.name == BUILT_IN.name else []
        raise NotExpressibleError("; ".join([*whys, *nearest]))
    return {"template": values.folded(one.text.encode(), said).decode()}


def _told(variable: str, one: Format) -> str:
    """Returns what a template says in place of a variable; raises `NotExpressibleError`."""
    names = logged.REQUEST_FIELDS if variable == logged.REQUEST else (_field(variable, one),)
    if one.escape != "default" and not all(_is_plain(name) for name in names):
        raise NotExpressibleError(
            f"is written by `escape={one.escape}`, and in a template as by `escape=default`"
        )
    return " ".join(f"${{{name}}}" for name in names)


def _is_plain(field: str) -> bool:
    return not field.startswith(HEADER) and logged.logged(field).is_plain


def _field(variable: str, one: Format) -> str:
    """Returns the field that a variable is; raises `NotExpressibleError` with how it is none."""
    if variable.encode() in one.own:
        raise NotExpressibleError("is set by the config and has no field")
    found = logged.exact(variable)
    if found is not None:
        if found.field == _ID and one.is_trusting:
            raise NotExpressibleError(_TRUSTED_ID)
        return found.field
    header = variable.removeprefix(_OF_HEADER).replace("_", "-")
    if not variable.startswith(_OF_HEADER) or not header:
        raise NotExpressibleError(logged.why_not(variable))
    if is_client_claim(header):
        raise NotExpressibleError("is taken from trusted peers alone here")
    if names_secret(header):
        raise NotExpressibleError("carries credentials, which lines never show")
    return f"{HEADER}{header}"


def _fields(one: Format) -> Sequence[str]:
    """Returns the fields of a JSON object that is written as ours; none for any other text.

    A line of ours leaves out what a request does not have, where nginx writes an empty text: these
    have values always.
    """
    if _OBJECT.fullmatch(one.text) is None:
        return ()
    found: list[str] = []
    for key, text, number in _ENTRY.findall(one.text):
        row = logged.exact((text or number).lower())
        if row is None or row.field != key or not row.is_there:
            return ()
        if bool(number) != (row in logged.NUMBERS) or (key == _ID and one.is_trusting):
            return ()
        found.append(key)
    return found if len(set(found)) == len(found) else ()


def has_texts(log: Table) -> bool:
    """Reports whether lines have values that are escaped, or that a request may not have."""
    names = [name for kind, name in pieces(str(log.get("template", ""))) if kind == "name"]
    return not all(map(_is_plain, [*names, *map(str, items_in(log, "fields"))]))


def to_nginx(log: Table) -> Template:
    """Returns the text of the format again; raises `LookupError` for a field that nginx has no
    variable of its own for.
    """
    if "template" in log:
        return Template(tuple(_part(*piece) for piece in pieces(str(log["template"]))))
    parts: list[str | Var] = []
    for name in map(str, items_in(log, "fields")):
        row = logged.logged(name)
        quote = "" if row in logged.NUMBERS else '"'
        parts += [f'{"," if parts else "{"}"{name}":{quote}', _variable(name), quote]
    return Template((*parts, "}"))


def _part(kind: str, text: str) -> str | Var:
    if kind == "name":
        return _variable(text)
    return "$" if kind == "dollar" else text


def _variable(field: str) -> Var:
    if field.startswith(HEADER):
        return Var(_OF_HEADER + field.removeprefix(HEADER).replace("-", "_"))
    row = logged.logged(field)
    if not row.is_exact:
        raise LookupError(f"node.access_log: nginx has no variable of its own for {field}")
    return Var(row.nginx)
