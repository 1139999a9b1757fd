"""Who decodes JSON survives every content: msgspec raises UnicodeDecodeError for bytes that are not
UTF-8 inside a text, which is a ValueError as its own errors are, and none of them."""

import re
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "src" / "headgate"
# `convert` reads no bytes, and says ValidationError.
TOO_NARROW = re.compile(r"^.*(?:except|suppress).*msgspec\.(?:MsgspecError|DecodeError).*$", re.M)
WIDE = re.compile(r"\b(?:ValueError|UnicodeDecodeError)\b")


def too_narrow(text: str) -> list[str]:
    """The lines that catch the errors of msgspec and let bytes that are not UTF-8 pass."""
    return [line.strip() for line in TOO_NARROW.findall(text) if not WIDE.search(line)]


def test_bytes_that_are_not_text_are_caught_with_other_damage() -> None:
    found = {str(path): too_narrow(path.read_text()) for path in sorted(SOURCES.rglob("*.py"))}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_they_are_found() -> None:
    bad = "except (OSError, msgspec.MsgspecError):"
    good = "except (msgspec.DecodeError, UnicodeDecodeError) as error:"
    assert too_narrow(f"try:\n    read()\n{bad}\n    pass\n{good}\n    pass\n") == [bad]
    assert too_narrow("with suppress(OSError, msgspec.DecodeError):") != []
