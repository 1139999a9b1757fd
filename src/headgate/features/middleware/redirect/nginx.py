"""`redirect` in nginx: `return` with a URL, which keeps the query as the client sent it."""

from typing import Final

from headgate._core import normalise_path
from headgate.features.middleware.rewrite.nginx import HOST_PATTERN, path_template
from headgate.features.nginx import About, Parity, Parts, as_arg, merged, template, whole
from headgate.features.nginx_chain import BAD_HOST, BAD_PATH, Answer, Chain
from headgate.nginxtext.writer import Literal, MapKey, Template, Var, Word
from headgate.plan.middleware import Redirect

_BODY: Final = "the answer has a body, nginx's page for the status"

PARITY: Final = (
    Parity("middlewares.NAME.redirect.status", "differs", _BODY),
    Parity("middlewares.NAME.redirect.scheme", "same"),
    Parity("middlewares.NAME.redirect.host", "same"),
    Parity("middlewares.NAME.redirect.port", "same"),
    Parity(
        "middlewares.NAME.redirect.path", "differs", "as `rewrite.path`: some variables are refused"
    ),
    Parity("middlewares.NAME.redirect.prefix", "same"),
)

_OWN: Final = {"http": 80, "https": 443}


def apply(node: Redirect, chain: Chain, about: About, *, may_pass: bool = True) -> None:
    """Adds a redirect to a chain; a request for the target itself passes if it may."""
    path = _path(node, chain, about)
    host = _host(node, chain, about)
    if path is None:
        return
    url = merged((*_scheme(node), "://", *host, *_port(node, chain), path, Var("hg_query")))
    answer = Answer(node.status, chain.filtered([]), location=url)
    if not may_pass:
        chain.end(answer)
        return
    chain.detour(_elsewhere(node, chain, host, path), answer)


def _scheme(node: Redirect) -> Parts:
    return (node.scheme if node.scheme is not None else Var("scheme"),)


def _host(node: Redirect, chain: Chain, about: About) -> Parts:
    if node.host is None:
        return (Var("host"),)
    parts = template(node.host, chain.scope, about, "host")
    if all(isinstance(part, str) for part in parts):
        return parts
    pattern = HOST_PATTERN.removesuffix("(?::[0-9]{0,5})?")
    checked = chain.shared.map(
        "host", as_arg(parts), ((whole(pattern), as_arg(parts)),), Literal("")
    )
    chain.unless(checked, BAD_HOST)
    return (checked,)


def _port(node: Redirect, chain: Chain) -> Parts:
    """Returns `:port` unless it is the scheme's own."""
    if node.port is None:
        return () if node.scheme is not None else (Var("hg_port_suffix"),)
    if node.scheme is not None:
        return () if node.port == _OWN[node.scheme] else (f":{node.port}",)
    for scheme, own in _OWN.items():
        if node.port == own:
            entries = ((MapKey(scheme), Literal("")),)
            return (chain.shared.map("port", Var("scheme"), entries, Literal(f":{own}")),)
    return (f":{node.port}",)


def _path(node: Redirect, chain: Chain, about: About) -> str | Var | None:
    if node.path is not None:
        path = path_template(node.path, chain, about, "path")
    elif node.prefix is not None:
        prefix = normalise_path(node.prefix).rstrip("/")
        taken = chain.request_matched
        if taken is None:
            about.refuse("prefix", "how much of the path was matched is not known here")
            return None
        path = chain.replaced_prefix(Var("hg_path"), taken, prefix)
    else:
        return Var("hg_path")
    if isinstance(path, Var):
        chain.unless(path, BAD_PATH)
    return path


def _elsewhere(node: Redirect, chain: Chain, host: Parts, path: str | Var) -> Var:
    """Returns a variable that is empty if the redirect would lead back to the request's own URL."""
    source: list[str | Var] = []
    pattern: list[str] = []
    if node.scheme is not None:
        source += [Var("scheme"), " "]
        pattern.append(f"{node.scheme} ")
    port = node.port or (_OWN[node.scheme] if node.scheme else None)
    if port is not None:
        source += [Var("hg_port"), " "]
        pattern.append(f"{port} ")
    groups = 0
    if node.host is not None:
        groups += 1
        source += [*host, " ", Var("host"), " "]
        pattern.append(rf"(\S*) (?i:\{groups}) ")
    if path != Var("hg_path"):
        groups += 1
        source += [path, " ", Var("hg_path")]
        pattern.append(rf"(\S*) \{groups}")
    entries = ((whole("".join(pattern)), Literal("")),)
    return chain.shared.map("redirect", Template(merged(source)), entries, Word("1"))
