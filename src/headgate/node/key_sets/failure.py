"""The failure to get a key set."""

from typing import Literal

Reason = Literal["connect", "tls", "timeout", "status", "redirect", "too_large", "invalid"]


class FetchError(Exception):
    """A key set cannot be had; the message says why, without a part of the answer."""

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason: Reason = reason
