"""Reads the `map` by which a server of `stream` chooses an upstream for each server name.

What is no TLS, and TLS without a name, has an empty name in nginx: it goes where `default` leads.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.around import Level
from headgate.engines.nginx.imports.objects import NotExpressibleError, Toml
from headgate.engines.nginx.imports.splits import check_target
from headgate.features import syntax
from headgate.kernel.errors import Invalid
from headgate.nginxtext.includes import is_include
from headgate.nginxtext.tree import Directive

VARIABLE: Final = b"ssl_preread_server_name"
PREREAD: Final = b"ssl_preread"
NOTE: Final = (
    "ssl_preread: what does not begin with a ClientHello is reset here; nginx passes it on as a "
    "connection without a name"
)

_MAP_WORDS: Final = 2
_HOSTNAMES: Final = b"hostnames"
_DEFAULT: Final = b"default"
_MAKERS: Final = (b"map", b"geo", b"split_clients")


class Branch(NamedTuple):
    """The target of connections for these names; without names, of those no other branch takes."""

    target: str
    names: tuple[str, ...] = ()

    def to_model(self) -> dict[str, Toml]:
        """Returns the part of a route that says it."""
        names: dict[str, Toml] = {"sni": list(self.names)} if self.names else {}
        return {**names, "upstream": self.target}


def branches_of(line: Directive, around: Level, known: Sequence[str]) -> list[Branch]:
    """Returns the branches of a `proxy_pass` with a variable, in the order of the map.

    `known` are names of upstreams. Raises `NotExpressibleError`.
    """
    written = line.values[0]
    names = values.names(written)
    made = [one for one in _maps(around) if names and _variable(one) == names[0].lower()]
    if len(names) != 1 or len(made) != 1 or made[0].name != b"map":
        raise NotExpressibleError("`proxy_pass` of a variable has no counterpart")
    (block,) = made
    if block.values[0] not in (b"$" + VARIABLE, b"${" + VARIABLE + b"}"):
        raise NotExpressibleError("`proxy_pass` of a variable has no counterpart")
    found: dict[str, list[str]] = {}
    default = ""
    for names_of_one, value in _entries(block):
        target = values.text(values.folded(written, {names[0]: value}))
        check_target(target, known)
        if names_of_one:
            found.setdefault(target, []).extend(names_of_one)
        else:
            default = target
    every = [name for names_of_one in found.values() for name in names_of_one]
    if not every or len(set(every)) != len(every):
        raise NotExpressibleError("the map of server names has none, or one twice")
    branches = [Branch(target, tuple(each)) for target, each in found.items()]
    return [*branches, Branch(default)] if default else branches


def _maps(around: Level) -> list[Directive]:
    lines = [one.directive for name in _MAKERS for one in around.named(name)]
    return [one for one in lines if one.children is not None and one.args]


def _variable(block: Directive) -> bytes:
    return block.values[-1].removeprefix(b"$").lower()


def _entries(block: Directive) -> list[tuple[list[str], bytes]]:
    """Returns the names of each line, none for `default`, and its value."""
    lines = list(block.directives())
    if len(block.args) != _MAP_WORDS:
        raise NotExpressibleError("the map of server names is not understood")
    has_patterns = any(one.name == _HOSTNAMES and not one.args for one in lines)
    found = []
    for one in lines:
        if one.name == _HOSTNAMES and not one.args:
            continue
        is_read = len(one.args) == 1 and not is_include(one)
        if not is_read or values.has_variables(one.values[0]):
            raise NotExpressibleError("the map of server names is not understood")
        names = [] if one.name == _DEFAULT else _names(one.name, has_patterns=has_patterns)
        found.append((names, one.values[0]))
    return found


def _names(key: bytes, *, has_patterns: bool) -> list[str]:
    """Returns our patterns for a key of the map."""
    text = values.text(key).lower()
    try:
        if has_patterns and text.startswith("."):
            return [syntax.server_name(text[1:]), syntax.server_name(f"*{text}")]
        if text == "*" or ("*" in text and not has_patterns):
            raise NotExpressibleError(f'the server name "{text}" is no name of ours')
        return [syntax.server_name(text)]
    except Invalid:
        raise NotExpressibleError(f'the server name "{text}" is no name of ours') from None
