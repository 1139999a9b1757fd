"""Translates a balance policy to an `upstream` of nginx's."""

from collections.abc import Callable
from typing import Final, NamedTuple

from headgate.features.nginx import About, Shared
from headgate.features.nginx_cookie_values import cookie_value
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Var

Has = Callable[[str], bool]
"""A test of whether the nginx that is rendered for accepts a snippet (`Capabilities.has`)."""


class Method(NamedTuple):
    """The directives of a policy, and whether nginx allows `backup` beside them."""

    nodes: tuple[Node, ...] = ()
    allows_backup: bool = True


ANOTHER: Final = "nginx's own hash (ketama) sends keys to other endpoints than headgate does"


def key_variable(key: str, shared: Shared, about: About) -> Var | None:
    """Returns the variable that a hashing policy hashes; None if it was refused."""
    if key == "client_ip":
        return Var("remote_addr")
    if key == "path":
        return Var("hg_path")
    source, _, name = key.partition(":")
    if source == "header":
        variable = shared.header_value(name)
        if variable is None:
            about.refuse("key", "nginx does not pass on request headers of such a name")
        return variable
    return cookie_value(name, shared)


def needs(has: Has, snippet: str, about: About, word: str) -> bool:
    """Reports whether the target has a method; otherwise it is refused."""
    if has(snippet):
        return True
    about.refuse("", f"this nginx has no `{word}`")
    return False
