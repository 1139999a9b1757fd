"""Decides which requests a server takes at all, without `if`.

nginx makes a location of each `if` in a server, which costs 7 KiB in every server. The path that a
request gets therefore says what happens to it: a normal path begins with a slash; `refused` and
`misdirected` do not, and no location takes them. A server answers a request of the second kind
where nginx looks for a file because no location fits.
"""

from typing import Final

from headgate.engines.nginx.render.context import Context
from headgate.features.nginx import Shared
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Literal, MapKey, Regex, Template, Var, Word, directive

_BODY: Final = Template(("400 Bad Request\n", Var("hg_refused"), "\n"), lines=True)
_PATH: Final = Var("hg_path")
_ADMITTED: Final = Var("hg_admitted")
_REFUSED: Final = Literal("refused")
_MISDIRECTED: Final = Literal("misdirected")
_NO_FILE: Final = Word("/.")
"""Below a folder this is the folder, below a file an error: nginx never answers with a file."""


def variable(shared: Shared, misdirected: Var | None) -> Var:
    """Returns the map to the path of an accepted request, or to what happens to it instead."""
    if misdirected is None:
        return _ADMITTED
    # nginx evaluates both before the path changes, from which `hg_path` derives.
    source = Template((misdirected, " ", Var("hg_refused")))
    entries = ((MapKey(" "), _PATH), (Regex(r"~\A "), _REFUSED))
    return shared.map("admitted", source, entries, _MISDIRECTED)


def directives(ctx: Context, admitted: Var) -> list[Node]:
    """Returns what precedes the choice of a location: refusals, and the path in normal form."""
    judges_host = admitted != _ADMITTED
    goes_on = "[/m]" if judges_host else "/"
    nodes: list[Node] = [
        directive("rewrite", Regex(f"{ctx.plain}^"), admitted),
        directive("rewrite", Regex(f"{ctx.plain}^{goes_on}"), Var("uri"), Word("last")),
        directive("return", Word("400"), _BODY),
    ]
    if judges_host:
        nodes.append(directive("try_files", _NO_FILE, Word("=421")))
    return nodes
