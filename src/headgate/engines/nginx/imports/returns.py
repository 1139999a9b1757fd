"""Converts `return` to an answer or a redirect of a route, and back."""

import re
from collections.abc import Mapping
from typing import Final

from headgate.engines.nginx.imports import filetypes, values
from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.objects import NotExpressibleError, Table, Toml, table_in
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Literal, Template, Var, Word, directive

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
DEFAULT_TYPE: Final = b"text/plain"
"""nginx's default of `default_type`."""

_ANSWERS: Final = range(200, 600)
_WITH_TEXT: Final = 2
_MOVED: Final = 302
_TARGET = re.compile(
    r"(?P<scheme>https?|\$scheme)://"
    r"(?P<host>\$host|\$server_name|[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"\$request_uri"
)
_ABSOLUTE = re.compile(r"(?:https?|\$scheme|\$\{scheme\})://", re.IGNORECASE)
_BRACES = re.compile(r"\$\{(\w+)\}")


def action_of(
    line: Directive, around: Around, server_names: tuple[str, ...], path: str = ""
) -> dict[str, Toml]:
    """Returns `redirect` or `respond` of a route; raises `NotExpressibleError`.

    `path` is the only one that the route takes, empty if it takes others; `type_notes` says what
    differs then.
    """
    words = [values.text(value) for value in line.values]
    if not words or not words[0].isdigit():
        raise NotExpressibleError("`return` without a status has no counterpart")
    status = int(words[0])
    if status in REDIRECTS and len(words) == _WITH_TEXT:
        check_error_pages(words[0], around)
        return _redirect(status, words[1], server_names)
    if status not in _ANSWERS or status in REDIRECTS or status == 444:  # noqa: PLR2004
        raise NotExpressibleError(f"`return {status}` has no counterpart")
    answer: dict[str, Toml] = {"status": status}
    if len(words) < _WITH_TEXT:
        check_error_pages(words[0], around)
    else:
        answer["body"] = values.template(line.values[1])
        kind = type_of(around, path)
        answer["headers"] = {"content-type": values.template(kind.encode())}
    return {"respond": answer}


def status_of(line: Directive) -> int:
    """Returns the status of a `return`; 302 for one that has none."""
    word = values.text(line.values[0]) if line.values else ""
    return int(word) if word.isdigit() else _MOVED


def type_of(around: Around, path: str) -> str:
    """Returns the Content-Type of a text for a path, as nginx has it written."""
    default = around.value(b"default_type", DEFAULT_TYPE)
    return values.text(filetypes.in_effect(around).get(filetypes.extension(path), default))


def type_notes(action: Mapping[str, Toml], around: Around, path: str = "") -> tuple[str, ...]:
    """Returns what differs in the Content-Type of an answer, for a route of more than one path."""
    if path or "body" not in table_in(action, "respond") or not filetypes.in_effect(around):
        return ()
    return ("`types`: a path with a known extension has its own Content-Type there, and none here",)


def check_error_pages(status: str, around: Around) -> None:
    """Raises `NotExpressibleError` if a page answers for that status."""
    for _, line in around.nearest(b"error_page"):
        if status.encode() in line.values:
            raise NotExpressibleError(f"an `error_page` answers for status {status}")


def _redirect(status: int, target: str, server_names: tuple[str, ...]) -> dict[str, Toml]:
    found = _TARGET.fullmatch(_BRACES.sub(r"$\1", target))
    if found is not None:
        return {"redirect": _kept_path(status, found, server_names)}
    if not _ABSOLUTE.match(target):
        raise NotExpressibleError("its redirect is to a path: nginx adds scheme, host and port")
    location = values.template(target.encode())
    return {"respond": {"status": status, "headers": {"location": location}}}


def _kept_path(status: int, found: re.Match[str], server_names: tuple[str, ...]) -> Table:
    """Returns the redirect to the path and query as sent."""
    table: dict[str, Toml] = {"status": status}
    if found["scheme"] != "$scheme":
        table["scheme"] = found["scheme"]
    host = found["host"]
    if host == "$server_name":
        if not server_names or "*" in server_names[0]:
            raise NotExpressibleError("`$server_name` is not a name here")
        host = server_names[0]
    if host != "$host":
        table["host"] = host
    if found["port"]:
        table["port"] = int(found["port"])
    if len(table) == 1:
        raise NotExpressibleError("it redirects to where it came from")
    return table


def to_nginx(route: Table) -> list[Directive]:
    """Returns `return` (and `default_type`) of a route that answers by itself; the inverse."""
    if "redirect" in route:
        return [_redirect_line(table_in(route, "redirect"))]
    answer = table_in(route, "respond")
    status = Word(str(answer["status"]))
    if "body" not in answer:
        location = table_in(answer, "headers").get("location")
        words = [] if location is None else [values.nginx_template(str(location))]
        return [directive("return", status, *words)]
    kind = table_in(answer, "headers").get("content-type", DEFAULT_TYPE.decode())
    body = values.nginx_template(str(answer["body"]))
    return [
        directive("default_type", Literal(str(kind).replace("$$", "$"))),
        directive("return", status, Template(body.parts, lines=True)),
    ]


def _redirect_line(redirect: Mapping[str, Toml]) -> Directive:
    scheme, host = redirect.get("scheme"), redirect.get("host")
    parts: list[str | Var] = [f"{scheme}://"] if scheme else [Var("scheme"), "://"]
    parts.append(str(host) if host else Var("host"))
    if "port" in redirect:
        parts.append(f":{redirect['port']}")
    parts.append(Var("request_uri"))
    return directive("return", Word(str(redirect["status"])), Template(tuple(parts)))
