"""Shows plan objects without the values that came from secrets."""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

SHOWN: Final = b'"(secret)"'


def redacted(canonical: bytes, secrets: Iterable[str]) -> bytes:
    """Returns canonical bytes with every text in `secrets` replaced;
    still JSON, but with another digest. It leaves keys alone.
    """
    for secret in secrets:
        text = msgspec.json.encode(secret)
        if text in canonical:
            canonical = re.sub(re.escape(text) + rb"(?!:)", SHOWN, canonical)
    return canonical
