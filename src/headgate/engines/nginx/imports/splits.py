"""Converts `split_clients`, where `proxy_pass` follows it, to the split of a route, and back.

nginx hashes a key and looks up its range; a route draws a branch by weight, or finds it by its own
hash of the client. Each branch gets the same share, from other clients. Two routes do not give a
client the same branch, so that a key that keeps clients at theirs may lead one location alone.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from ipaddress import ip_address
from math import gcd
from typing import Final, NamedTuple

from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.objects import (
    NotExpressibleError,
    Table,
    Toml,
    items_in,
)
from headgate.nginxtext.includes import Tree
from headgate.nginxtext.tree import Directive, walk

NAME: Final = b"split_clients"
OWN_NAME: Final = "`Host` says to each branch what it is called; set it to `$host`"
SEVERAL: Final = "its server has hosts on several listeners, whose routes choose branches apart"

_ALL: Final = 10_000
"""nginx counts shares in hundredths of a percent."""

_SHARE: Final = re.compile(rb"(\d{1,3})(?:\.(\d{0,2}))?%")
_WORDS: Final = 2
_CLIENT: Final = frozenset({b"remote_addr", b"binary_remote_addr"})
DRAWN: Final = frozenset({b"request_id"})
"""The variables that differ between any two requests."""
_UNSEEN: Final = frozenset({b"log_format", b"access_log"})
"""Directives that follow a variable and change no answer."""

_CAPTURE: Final = re.compile(rb"\(\?(?:P?<|')([A-Za-z_]\w*)[>']")
_BLOCKS: Final = {b"map": 1, b"geo": -1, NAME: 1}
"""The index of the variable in the words of a block that makes it."""


class Split(NamedTuple):
    """A `split_clients`: whether clients stay at their branch, and the values with their weights
    in lowest terms, each value once. `why` says why no route can have it.
    """

    keeps: bool = False
    parts: tuple[tuple[bytes, int], ...] = ()
    why: str = ""


_NONE: Final = Split(why="it is none")


def splits_of(tree: Tree, drawn: Set[bytes] = DRAWN) -> Mapping[bytes, Split]:
    """Returns the splits of a config by their variables, in lower case as nginx has them.

    `drawn` are the variables that differ between any two that are divided.
    """
    lines = [one for document in tree.documents.values() for one in walk(document.nodes)]
    blocks = [one for one in lines if one.name == NAME and len(one.args) == _WORDS]
    if not blocks:
        return {}
    used: Counter[bytes] = Counter()
    made: Counter[bytes] = Counter()
    for line in lines:
        made.update(made_by(line))
        if line.name not in _UNSEEN:
            used.update(name for value in line.values for name in values.names(value))
    found: dict[bytes, Split] = {}
    for block in blocks:
        name = block.values[1].removeprefix(b"$").lower()
        one = _read(block, drawn)
        if made[name] > 1:
            one = one._replace(why="its variable is set at several places")
        elif one.keeps and used[name] - made[name] > 1:
            one = one._replace(why="several places follow it, whose routes would choose apart")
        found[name] = one
    return found


def made_by(line: Directive) -> Iterable[bytes]:
    """Yields the variables that a directive sets, in lower case."""
    words = line.values
    if line.name in _BLOCKS and line.children is not None and words:
        yield words[min(_BLOCKS[line.name], len(words) - 1)].removeprefix(b"$").lower()
    elif b"set" in line.name and words and words[0].startswith(b"$"):
        yield words[0][1:].lower()
    for word in words:
        yield from (name.lower() for name in _CAPTURE.findall(word))


def _read(block: Directive, drawn: Set[bytes] = DRAWN) -> Split:
    try:
        return Split(_keeps(block.values[0], drawn), _parts(block))
    except NotExpressibleError as error:
        return Split(why=str(error))


def _keeps(key: bytes, drawn: Set[bytes]) -> bool:
    """Reports whether a key keeps clients at their branch; any text may stand beside variables."""
    names = set(values.names(key))
    if names & drawn:
        return False
    if names and names <= _CLIENT:
        return True
    what = key.decode(errors="replace")
    raise NotExpressibleError(f"`split_clients {what}`: no counterpart hashes that")


def _parts(block: Directive) -> tuple[tuple[bytes, int], ...]:
    shares: dict[bytes, int] = {}
    rest = _ALL
    for line in block.directives():
        if len(line.args) != 1:
            raise NotExpressibleError("`split_clients` has a line that is not understood")
        share = rest if line.name == b"*" else _share(line.name)
        shares[line.values[0]] = shares.get(line.values[0], 0) + share
        rest -= share
    if rest:
        raise NotExpressibleError("`split_clients` leaves a share without a value")
    factor = gcd(*shares.values())
    return tuple((value, share // factor) for value, share in shares.items())


def _share(word: bytes) -> int:
    found = _SHARE.fullmatch(word)
    if found is None:
        raise NotExpressibleError("`split_clients` has a line that is not understood")
    return int(found[1]) * 100 + int((found[2] or b"").ljust(2, b"0"))


def branches_of(url: bytes, splits: Mapping[bytes, Split]) -> Split | None:
    """Returns the split that leads to these hosts, with what stands behind `http://`, if that is
    there, in place of its values; None for an URL that follows none. Raises `NotExpressibleError`.
    """
    names = values.names(url)
    found = [splits[name.lower()] for name in names if name.lower() in splits]
    if not found:
        return None
    if len(names) > 1:
        raise NotExpressibleError("`proxy_pass` with several variables has no counterpart")
    (split,) = found
    if split.why:
        raise NotExpressibleError(split.why)
    host = url.rpartition(b"://")[2]
    parts = [(values.folded(host, {names[0]: value}), weight) for value, weight in split.parts]
    return split._replace(parts=tuple(parts))


def check_target(target: str, known: Iterable[str]) -> None:
    """Raises `NotExpressibleError` for a host whose address nginx asks a resolver for."""
    if target in known:
        return
    host, colon, port = target.rpartition(":")
    try:
        ip_address((host if colon and port.isdigit() else target).strip("[]"))
    except ValueError:
        raise NotExpressibleError(
            f'its variable leads to "{target}": neither an upstream nor an address'
        ) from None


def action_of(targets: Sequence[str], split: Split) -> dict[str, Toml]:
    """Returns what a route says of it."""
    weights = [weight for _, weight in split.parts]
    table: dict[str, Toml] = {
        "split": [
            {"upstream": target, "weight": weight}
            for target, weight in zip(targets, weights, strict=True)
        ]
    }
    return {**table, "sticky": {"by": ["client_ip"]}} if split.keeps else table


def upstreams_of(route: Table) -> list[str]:
    """Returns the upstreams that a route leads to."""
    parts = items_in(route, "split")
    branches = [str(part["upstream"]) for part in parts if isinstance(part, Mapping)]
    return [str(route["upstream"])] if "upstream" in route else branches


def notes_of(route: Table) -> tuple[str, ...]:
    """Returns what differs."""
    if "sticky" not in route:
        return ()
    return ("`split_clients`: each branch has the same share here, of other clients",)


def host_of(route: Table, kept: Iterable[Directive]) -> str:
    """Returns what stands behind `http://` for a route: with the variable of its split, if any.

    Raises `LookupError` where no kept `split_clients` has its shares.
    """
    if "split" not in route:
        return str(route["upstream"])
    for line in kept:
        split = _read(line) if line.name == NAME and len(line.args) == _WORDS else _NONE
        if split.why or split.keeps is not ("sticky" in route):
            continue
        name = line.values[1].decode().removeprefix("$")
        texts = [(value.decode(), weight) for value, weight in split.parts]
        for before, after in _around(upstreams_of(route)[0], texts[0][0]):
            targets = [f"{before}{text}{after}" for text, _ in texts]
            if action_of(targets, split)["split"] == route["split"]:
                return f"{before}${{{name}}}{after}"
    raise LookupError("no `split_clients` has the shares of the route")


def _around(whole: str, part: str) -> Iterable[tuple[str, str]]:
    """Yields what may stand before and behind a part of a text."""
    for at in range(len(whole) - len(part) + 1):
        if whole.startswith(part, at):
            yield whole[:at], whole[at + len(part) :]
