"""`cors` in nginx: maps of `$http_origin`, `add_header … always`, preflights by `return`."""

from typing import Final

from headgate.features.middleware.cors.spec import ANY, CorsNode
from headgate.features.nginx import (
    About,
    Entry,
    Parity,
    Parts,
    Shared,
    as_arg,
    quoted,
    unnamed,
    whole,
)
from headgate.features.nginx_chain import Answer, Chain
from headgate.features.nginx_headers import Edits
from headgate.nginxtext.writer import Literal, Regex, Template, Var, Word

_LINES: Final = "nginx before 1.23 looks at the first line of a repeated `Origin` only"

PARITY: Final = (
    Parity("middlewares.NAME.cors.allow_origins", "differs", _LINES),
    Parity("middlewares.NAME.cors.allow_origin_patterns", "differs", _LINES),
    Parity("middlewares.NAME.cors.allow_methods", "same"),
    Parity("middlewares.NAME.cors.allow_headers", "same"),
    Parity("middlewares.NAME.cors.expose_headers", "same"),
    Parity("middlewares.NAME.cors.allow_credentials", "same"),
    Parity("middlewares.NAME.cors.max_age", "same"),
)

_ORIGIN: Final = Var("http_origin")
_METHOD: Final = Var("http_access_control_request_method")
_HEADERS: Final = Var("http_access_control_request_headers")
_NONE: Final = Literal("")
_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105 - RFC 9110 §5.6.2
_LABELS: Final = r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*"

_REMOVED: Final = (
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-expose-headers",
)


def apply(node: CorsNode, chain: Chain, about: About) -> None:
    """Adds the lines of every answer, and the answers to preflights, to a chain."""
    with about.guarded("origins"):
        granted = _granted(node, chain.shared)
        chain.response.append(_edits(node, granted, chain.shared))
        question = _question(chain.shared)
        _refuse(granted, question, chain)
        chain.detour(question, Answer(204, chain.filtered(_permissions(node, chain.shared))))


def _granted(node: CorsNode, shared: Shared) -> Parts:
    """Returns what `Access-Control-Allow-Origin` says: `*`, or the origin if it is allowed."""
    if ANY in node.origins:
        return (ANY,)
    entries: list[Entry] = [(_matches(one), _ORIGIN) for one in node.origins]
    for pattern in node.patterns:
        text, _ = unnamed(pattern)
        entries.append((Regex(rf"~\A(?=.)(?:{text})\z"), _ORIGIN))
    return (shared.map("cors_origin", _ORIGIN, entries, _NONE),)


def _matches(origin: str) -> Regex:
    scheme, star, host = origin.partition("://*.")
    if star:
        return whole(f"{quoted(scheme)}://{_LABELS}{quoted('.' + host)}")
    return whole(quoted(origin))


def _edits(node: CorsNode, granted: Parts, shared: Shared) -> Edits:
    def when(text: str) -> Parts:
        if granted == (ANY,):
            return (text,)
        entries = ((Regex("~."), Literal(text)),)
        return (shared.map("cors_text", as_arg(granted), entries, _NONE),)

    lines: list[tuple[str, Parts]] = [("access-control-allow-origin", granted)]
    if node.credentials:
        lines.append(("access-control-allow-credentials", when("true")))
    if node.expose:
        lines.append(("access-control-expose-headers", when(", ".join(node.expose))))
    vary: tuple[tuple[str, Parts], ...] = () if granted == (ANY,) else (("vary", ("Origin",)),)
    return Edits(_REMOVED, tuple(lines), vary)


def _question(shared: Shared) -> Var:
    """Returns a variable that is `1` for a preflight, and empty for any other request."""
    # No header has a line end in it.
    source = Template((Var("request_method"), "\n", _METHOD, "\n", _ORIGIN), lines=True)
    entries = ((Regex(r"~\AOPTIONS\n[^\n]+\n."), Word("1")),)
    return shared.map("cors_preflight", source, entries, _NONE)


def _refuse(granted: Parts, question: Var, chain: Chain) -> None:
    source = Template((question, " ", *granted))
    entries = ((Regex(r"~\A1 \z"), Word("1")),)
    refused = chain.shared.map("cors_refused", source, entries, _NONE)
    if granted != (ANY,):
        body = ("403 Forbidden\nthis origin is not allowed here\n",)
        kind = "text/plain; charset=utf-8"
        reason = Literal("cors-origin")
        answer = Answer(403, chain.filtered([]), kind, body, is_refusal=True, reason=reason)
        chain.detour(refused, answer)


def _permissions(node: CorsNode, shared: Shared) -> list[tuple[str, Parts]]:
    """Returns the lines of the answer to a preflight alone."""
    methods: Parts = (", ".join(node.methods),)
    if ANY in node.methods:
        entry = (Regex(rf"~\A{_TOKEN}\z"), _METHOD)
        methods = (shared.map("cors_method", _METHOD, (entry,), _NONE),)
    headers: Parts = (", ".join(node.headers),)
    if ANY in node.headers:
        entry = (Regex(rf"~\A{_TOKEN}(?:[ \t]*,[ \t]*{_TOKEN})*\z"), _HEADERS)
        headers = (shared.map("cors_headers", _HEADERS, (entry,), _NONE),)
    lines: list[tuple[str, Parts]] = [("access-control-allow-methods", methods)]
    if node.headers:
        lines.append(("access-control-allow-headers", headers))
    lines.append(("access-control-max-age", (str(node.max_age_s),)))
    return lines
