"""Decides which values from the environment nothing may show. Pure.

Every value from the environment may be a secret, except what status, metrics and logs show anyway:
hosts, addresses and names.
"""

from collections.abc import Iterator
from typing import Final

from headgate.features.fields import EnvText
from headgate.kernel.diagnostics import ConfigPath

_SHOWN: Final = frozenset(
    {
        "address",
        "balance",
        "certificates",
        "client",
        "client_ip",
        "endpoints",
        "hosts",
        "listeners",
        "methods",
        "policy",
        "split",
        "tls",
        "upstream",
        "use",
    }
)
"""Keys whose values are names or addresses."""

_FREE: Final = frozenset({"add", "cookies", "headers", "query", "set"})
"""Keys of maps whose own keys users choose: a header may be called `address`."""


def hidden_texts(value: object, path: ConfigPath) -> Iterator[str]:
    """Yields the texts of an entry at `path` that nothing may show; none for most entries."""
    if isinstance(value, EnvText):
        if value and _is_hidden(path[2:]):
            yield value
            yield value.rstrip("/") or value  # as a prefix is kept
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from hidden_texts(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from hidden_texts(item, (*path, index))


def _is_hidden(keys: ConfigPath) -> bool:
    """Reports whether the value at these keys of an entry may be a secret."""
    for key in keys:
        if key in _FREE:
            return True
        if key in _SHOWN:
            return False
    return True
