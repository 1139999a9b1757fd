"""Leaves out of lines that taps show what nobody must see. Pure."""

import re
from collections.abc import Collection
from typing import Any, Final

import msgspec

from headgate.kernel.redaction import SHOWN, Hidden, names_secret

_OF_CLIENTS: Final = ("host", "target", "referer", "user_agent")
"""Fields of a line that clients write freely."""
_SECRET_WORD: Final = re.compile(r"auth|cookie|jwt|key|secret|session|token")
"""Words in a header's name that mark a secret, besides those that name secrets anywhere."""


class Veil:
    """The texts that are left out while one config is served."""

    def __init__(self, hidden: Hidden, names: Collection[str]) -> None:
        """`hidden`: texts of the config, and parameters of a query; `names`: headers that carry
        credentials there.
        """
        self._hidden = hidden
        self._names = frozenset(name.lower() for name in names)

    def line(self, raw: bytes) -> bytes:
        """Returns a line (one JSON object) as it may be shown, without a line feed."""
        said: dict[str, Any] = msgspec.json.decode(raw)
        for key in _OF_CLIENTS:
            if key in said:
                said[key] = self._value(said[key])
        if "headers" in said:
            said["headers"] = [[name, self._header(name, text)] for name, text in said["headers"]]
        return msgspec.json.encode(said)

    def _header(self, name: str, text: str) -> str:
        is_secret = name in self._names or names_secret(name) or _SECRET_WORD.search(name)
        return SHOWN if is_secret else self._value(text)

    def _value(self, text: str) -> str:
        return self._hidden.value(text)
