"""`rewrite` in nginx: maps of our normal form of the path compute the new path.
nginx's own `rewrite` works on the decoded path.
"""

from typing import Final

from headgate._core import normalise_path
from headgate.features.nginx import (
    GROUP_VARIABLE,
    About,
    Parity,
    Parts,
    as_arg,
    merged,
    quoted,
    template,
    unnamed,
    whole,
)
from headgate.features.nginx_chain import BAD_HOST, BAD_PATH, Chain, Refusal
from headgate.features.templates import pieces
from headgate.nginxtext.writer import Literal, Regex, Template, Var
from headgate.plan.middleware import PathRewrite, RegexRewrite, Rewrite

_ENCODED: Final = "nginx cannot percent-encode the value of a variable in a path"

PARITY: Final = (
    Parity("middlewares.NAME.rewrite.strip_prefix", "same"),
    Parity(
        "middlewares.NAME.rewrite.prefix",
        "differs",
        "refused after a `strip_prefix` that does not fit all paths of the match",
    ),
    Parity(
        "middlewares.NAME.rewrite.path",
        "differs",
        "`${query}`, `${target}`, `${client_subject}`, `${header:NAME}` and `${endpoint}` are "
        "refused: " + _ENCODED,
    ),
    Parity(
        "middlewares.NAME.rewrite.regex",
        "differs",
        "a result that needs percent-decoding gets 400, and so does a path on which PCRE, which "
        "backtracks, takes too long",
    ),
    Parity("middlewares.NAME.rewrite.with", "same"),
    Parity("middlewares.NAME.rewrite.host", "same"),
)

_OCTET: Final = "%(?:2[146-9A-Ca-c]|3[BDbd]|[89A-Fa-f][0-9A-Fa-f])"
_LABEL: Final = rf"(?:[A-Za-z0-9_~!$&'()*+,;=-]++|{_OCTET})++"
HOST_PATTERN: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{0,5}})?"

_NO_PATH: Final = Literal("?")
"""A path that no rewrite may give: the request is refused."""

_UNSAFE: Final = ("query", "target", "endpoint", "client_subject", "header:")


def apply(node: Rewrite, chain: Chain, about: About) -> None:
    """Adds a rewrite to a chain."""
    if node.host is not None:
        _host(node.host, chain, about)
    if node.path is None:
        return
    if node.path.strip_prefix is not None:
        _strip(normalise_path(node.path.strip_prefix).rstrip("/"), chain)
    elif node.path.prefix is not None:
        _prefix(node.path, chain, about)
    elif node.path.path is not None:
        changed = path_template(node.path.path, chain, about, "path")
        if changed is not None:
            _take(chain, changed, BAD_PATH)
            chain.matched, chain.matched_text = 0, ""
    elif node.path.regex is not None:
        _regex(node.path.regex, chain)


def _take(chain: Chain, path: str | Var, why: Refusal) -> None:
    chain.path = path
    if isinstance(path, Var):
        chain.unless(path, why)


def _host(text: str, chain: Chain, about: About) -> None:
    parts = template(text, chain.scope, about, "host")
    if all(isinstance(part, str) for part in parts):
        chain.host = parts
        return
    entries = ((whole(HOST_PATTERN), as_arg(parts)),)
    checked = chain.shared.map("host", as_arg(parts), entries, Literal(""))
    chain.unless(checked, BAD_HOST)
    chain.host = (checked,)


def _strip(prefix: str, chain: Chain) -> None:
    rest = Var("hg_rest")
    entries = (
        (whole(quoted(prefix)), Literal("/")),
        (Regex(rf"~\A{quoted(prefix)}(?<hg_rest>/.*)\z"), rest),
    )
    source = as_arg((chain.path,))
    chain.path = chain.shared.map("path", source, entries, source)
    before = chain.matched_text
    if before is None or (prefix.startswith(before) and before not in ("", prefix)):
        chain.matched = chain.matched_text = None
    elif before == prefix or before.startswith(prefix + "/"):
        chain.matched_text = before[len(prefix) :]
        chain.matched = len(chain.matched_text)


def _prefix(node: PathRewrite, chain: Chain, about: About) -> None:
    if chain.matched is None:
        about.refuse("prefix", "how much of the path was matched differs after `strip_prefix`")
        return
    prefix = normalise_path(node.prefix or "/").rstrip("/")
    _take(chain, chain.replaced_prefix(chain.path, chain.matched, prefix), BAD_PATH)
    chain.matched, chain.matched_text = len(prefix), prefix


def path_template(text: str, chain: Chain, about: About, key: str) -> str | Var | None:
    """Returns a template of a path in normal form; None when it was refused."""
    names = [value for kind, value in pieces(text) if kind == "name"]
    if any(name.startswith(_UNSAFE) for name in names):
        about.refuse(key, _ENCODED)
        return None
    parts = template(text, chain.scope, about, key)
    if "host" in names:
        host = _host_in_path(chain)
        parts = tuple(host if part == Var("host") else part for part in parts)
    return chain.settled(parts, len(names))


def _host_in_path(chain: Chain) -> Var:
    """Returns the variable of the host as a path may have it: with the brackets of IPv6 encoded."""
    host, inner = Var("host"), Var("hg_part")
    entries = ((Regex(r"~\A\[(?<hg_part>.*)\]\z"), Template(("%5B", inner, "%5D"))),)
    return chain.shared.map("host_in_path", host, entries, host)


def _regex(node: RegexRewrite, chain: Chain) -> None:
    _, names = unnamed(node.pattern)
    found: list[str | Var] = []
    wanted: set[int] = set()
    for kind, value in pieces(node.replacement):
        if kind in ("text", "dollar"):
            found.append(value if kind == "text" else "$")
            continue
        number = int(value) if value.isdecimal() else names[value]
        if number:
            wanted.add(number)
            found.append(Var(f"{GROUP_VARIABLE}{number}"))
        else:
            found.append(chain.path)
    pattern, _ = unnamed(node.pattern, frozenset(wanted))
    parts: Parts = merged(found)
    source = as_arg((chain.path,))
    entries = ((whole(pattern), as_arg(parts)),)
    made = chain.shared.judged("path", source, entries, source, gave_up=_NO_PATH)
    _take(chain, chain.settled((made,), len(found)), BAD_PATH)
    if chain.matched:
        chain.matched = chain.matched_text = None
