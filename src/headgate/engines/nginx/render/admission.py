"""Which requests a server takes at all, said without `if`.

An `if` in a server is a location of its own to nginx, and each costs 7 KiB in every server. What
happens to a request is therefore said by the path that it is given: a normal path begins with a
slash; `refused` and `misdirected` do not, and no location takes them. A server that is asked for a
request of the second kind answers it where nginx looks for a file when no location was found.
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
"""Below a folder this is the folder, below a file an error: never a file to answer with."""


def variable(shared: Shared, misdirected: Var | None) -> Var:
    """Returns the path of a request that is taken, or what happens to it instead."""
    if misdirected is None:
        return _ADMITTED
    # Both are looked at before the path changes: `hg_path` is made of it.
    source = Template((misdirected, " ", Var("hg_refused")))
    entries = ((MapKey(" "), _PATH), (Regex(r"~\A "), _REFUSED))
    return shared.map("admitted", source, entries, _MISDIRECTED)


def directives(ctx: Context, admitted: Var) -> list[Node]:
    """Before a location is looked for: what is refused, and the path in normal form."""
    # Compiled to machine code an expression would cost 9 KiB in every server.
    plain = "(*NO_JIT)" if ctx.has("pcre_no_jit") else ""
    judges_host = admitted != _ADMITTED
    goes_on = "[/m]" if judges_host else "/"
    nodes: list[Node] = [
        directive("rewrite", Regex(f"{plain}^"), admitted),
        directive("rewrite", Regex(f"{plain}^{goes_on}"), Var("uri"), Word("last")),
        directive("return", Word("400"), _BODY),
    ]
    if judges_host:
        nodes.append(directive("try_files", _NO_FILE, Word("=421")))
    return nodes
