"""Leaves out of lines that taps show what nobody must see. Pure."""

import re
from collections.abc import Collection
from typing import Any, Final

import msgspec

from headgate.kernel.redaction import SHOWN, names_secret, redacted_value

_OF_CLIENTS: Final = ("host", "target", "referer", "user_agent")
"""Fields of a line that clients write freely."""
_SECRET_WORD: Final = re.compile(r"auth|cookie|jwt|key|secret|session|token")
"""What the name of a header has in it, besides what names a secret anywhere."""


class Veil:
    """What is left out while one config is served."""

    def __init__(self, secrets: Collection[str], names: Collection[str]) -> None:
        """`secrets`: texts of the config; `names`: headers (in lower case) and parameters of a
        query that carry credentials there.
        """
        self._secrets = secrets
        self._names = frozenset(name.lower() for name in names)
        named = "|".join(re.escape(name) for name in sorted(names))
        self._parameters = re.compile(rf"(?i)([?&](?:{named})=)[^&#]*") if named else None

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
        if self._parameters is not None:
            text = self._parameters.sub(rf"\1{SHOWN}", text)
        return redacted_value(text, self._secrets)
