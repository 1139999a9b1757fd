"""Plan objects as they may be shown: without the values that came from secrets."""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

SHOWN: Final = b'"(secret)"'


def redacted(canonical: bytes, secrets: Iterable[str]) -> bytes:
    """Canonical bytes with every text that is one of `secrets` replaced; still JSON, but no longer
    what the digest is of. Keys are left alone."""
    for secret in secrets:
        text = msgspec.json.encode(secret)
        if text in canonical:
            canonical = re.sub(re.escape(text) + rb"(?!:)", SHOWN, canonical)
    return canonical
