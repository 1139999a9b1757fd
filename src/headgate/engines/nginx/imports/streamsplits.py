"""Converts `split_clients` of `stream` to the split of a TCP route that follows it."""

from collections.abc import Sequence
from typing import Final

from headgate.engines.nginx.imports import splits, values
from headgate.engines.nginx.imports.objects import Toml
from headgate.engines.nginx.imports.splits import Split

DRAWN: Final = frozenset({b"connection", b"remote_port"})
"""The variables that differ between any two connections, or consecutive ones of a client."""


def leads(split: Split, known: Sequence[str]) -> dict[str, Toml]:
    """Returns what a route says of a split; `known` are names of upstreams.

    Raises `NotExpressibleError`.
    """
    targets = [values.text(value) for value, _ in split.parts]
    for one in targets:
        splits.check_target(one, known)
    found = splits.action_of(targets, split)
    return {**found, "sticky": {"by": "client_ip"}} if split.keeps else found
