"""Parses texts with variables such as `${client_ip}`, where `$$` is a dollar sign.

hg-middleware reads them by the same rules.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Final, NamedTuple

from pydantic import WithJsonSchema

from headgate.features import syntax
from headgate.features.fields import parsed
from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import listed, nearest

VARIABLES: Final[dict[str, str]] = {
    "client_ip": "The client's address, taken from the headers of trusted peers; IPv6 without "
    "brackets.",
    "client_subject": "The subject of the client's verified certificate, as RFC 4514 writes it; "
    "empty without one.",
    "client_fingerprint": "The SHA-256 of that certificate in lower-case hex; empty without one.",
    "client_san": "The alternative names of that certificate, joined by `,`: "
    "`dns:a.example,uri:spiffe://b/c,email:d@e.example,ip:192.0.2.7`; empty without one.",
    "client_spiffe": "The SPIFFE ID of that certificate, if it has a valid one and no other URI; "
    "else empty.",
    "tls_version": "`TLSv1.2` or `TLSv1.3`; empty on a plain connection.",
    "sni": "The name that the client asked for in the TLS handshake; empty if it sent none.",
    "request_id": "The id of this request, as in the access log.",
    "method": "The request's method.",
    "scheme": "`http` or `https`, depending on the connection of the client.",
    "protocol": "`HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.",
    "host": "The request's host in lower case without port; IPv6 in brackets.",
    "port": "The port in the request's host, or else the default of the scheme (80, 443).",
    "path": "The normalised path, before any rewrite.",
    "query": "The part after the first `?`; empty if there is none.",
    "target": "The path and, if there is one, `?` and the query.",
    "listener": "The name of the listener.",
    "route": "The name of the route.",
    "upstream": "The name of the upstream; empty if none is chosen.",
    "endpoint": "The address of the endpoint; empty if none is chosen yet (`rewrite`, `redirect`, "
    "`respond`).",
    "jwt:CLAIM": "That claim of the token that a `jwt` before it in the chain has let in, as "
    "`claims` of `jwt` writes it; empty if the token does not have it.",
    "header:NAME": "The request header of that name as the client sent it, if the listener accepts "
    "it (client-headers.md); several lines are joined by `, `; empty if there is none.",
}
"""The variables of templates, and the value of each."""

DOLLAR_ALLOWED: Final = "write a variable as `${name}`, a dollar sign as `$$`"
PATH_TEXT_ALLOWED: Final = 'write a path such as "/new${path}", without query'

_PIECE = re.compile(r"(?P<text>[^$]+)|\$(?:(?P<dollar>\$)|\{(?P<name>[^}]*)\}|(?P<number>[0-9]+))")
CLAIM_NAME: Final = re.compile(r"[!#-\[\]-z|~]{1,256}")
"""The form of a claim's name in variables and keys."""
_NOT_IN_PATHS = re.compile(r"[?#\\\x00-\x20]|[^\x00-\x7f]")


class Piece(NamedTuple):
    """A piece of a template: `kind` is `text`, `dollar`, `name` or `number`."""

    kind: str
    text: str


def pieces(text: str) -> Iterator[Piece]:
    """Yields the pieces of a text with dollar signs;
    raises `Invalid` for a dollar sign without a name.
    """
    at = 0
    while at < len(text):
        found = _PIECE.match(text, at)
        if found is None:
            if text.startswith("${", at):
                raise Invalid(f"`{text[at : at + 20]}` has no closing brace", DOLLAR_ALLOWED)
            raise Invalid("a dollar sign has no variable name after it", DOLLAR_ALLOWED)
        at = found.end()
        yield Piece(str(found.lastgroup), found[found.lastgroup or 0])


def template(text: str) -> str:
    """Returns the template itself; raises `Invalid` for an unknown variable."""
    if "$" in text:
        for kind, name in pieces(text):
            if kind == "name":
                _variable(name)
            elif kind == "number":
                raise Invalid(f"`${name}` has a meaning in `rewrite.with` only", DOLLAR_ALLOWED)
    return text


def _variable(name: str) -> None:
    if name in VARIABLES and ":" not in name:
        return
    prefix, colon, header = name.partition(":")
    if prefix == "jwt" and colon:
        claim(header)
        return
    if prefix == "header" and colon:
        syntax.header_name(header)
        return
    near = nearest(name, VARIABLES)
    known = listed(VARIABLES, quote=False, most=len(VARIABLES))
    allowed = f"write ${{{near}}}" if near else f"write one of {known}"
    raise Invalid(f"there is no variable ${{{name}}}", allowed)


def claim(name: str) -> str:
    """Returns the name of a claim; raises `Invalid` for one that no variable can have."""
    if CLAIM_NAME.fullmatch(name) is None:
        allowed = "write up to 256 visible ASCII characters without quotes, backslashes and braces"
        raise Invalid(f"{syntax.described(name)} is not the name of a claim", allowed)
    return name


def _literal(text: str) -> str | None:
    """Returns the value for every request, if the template has no variable."""
    if "$" not in text:
        return text
    if any(piece.kind == "name" for piece in pieces(text)):
        return None
    return text.replace("$$", "$")


def escaped(text: str) -> str:
    """Returns a template whose value is the literal text."""
    return text.replace("$", "$$")


def header_value(text: str) -> str:
    """Returns a template of one line without control characters (RFC 9110 §5.5)."""
    if any(c < " " and c != "\t" for c in text) or "\x7f" in text:
        raise Invalid("the value has control characters", "write one line of visible text")
    return template(text)


def path_template(text: str) -> str:
    """Returns a template of a whole path: begins with a slash or a variable, holds no query."""
    template(text)
    literal = _literal(text)
    if literal is not None:
        syntax.routed_path(literal)
        return text
    if not text.startswith(("/", "${")):
        raise Invalid(f"{syntax.described(text)} does not begin with a slash", PATH_TEXT_ALLOWED)
    for kind, plain in pieces(text):
        if kind == "text":
            check_path_text(plain)
    return text


def check_path_text(plain: str) -> None:
    """Raises `Invalid` for characters that are not allowed in a path."""
    found = _NOT_IN_PATHS.search(plain)
    if found:
        raise Invalid(f"a path cannot hold {found[0]!r}", PATH_TEXT_ALLOWED)


def replacement(text: str) -> str:
    """Returns the replacement of a regex rewrite: `$1` and `${name}` are groups;
    the core knows which exist.
    """
    first = next(pieces(text), None)
    if first is None or (first.kind == "text" and not first.text.startswith("/")):
        raise Invalid(
            f"{syntax.described(text)} does not begin with a slash",
            'write a path such as "/new/$1"',
        )
    for kind, plain in pieces(text):
        if kind == "text":
            check_path_text(plain)
    return text


def host_template(text: str) -> str:
    """Returns a template of a host, with or without port."""
    template(text)
    literal = _literal(text)
    return text if literal is None else escaped(syntax.authority(literal))


def bare_host_template(text: str) -> str:
    """Returns a template of a host without port."""
    template(text)
    literal = _literal(text)
    return text if literal is None else escaped(syntax.host_name(literal))


_SCHEMA: Final = WithJsonSchema({"type": "string", "format": "template"})

Template = Annotated[str, parsed(template, "text", "write text in quotes"), _SCHEMA]
PathTemplate = Annotated[str, parsed(path_template, "a path", "write text in quotes"), _SCHEMA]
HostTemplate = Annotated[str, parsed(host_template, "a host", "write text in quotes"), _SCHEMA]
BareHostTemplate = Annotated[
    str, parsed(bare_host_template, "a host", "write text in quotes"), _SCHEMA
]
Replacement = Annotated[str, parsed(replacement, "a replacement", "write text in quotes"), _SCHEMA]
