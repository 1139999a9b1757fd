"""How commands answer: text or JSON on standard output, complaints on standard error."""

import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, TypeVar

import msgspec
import typer

T = TypeVar("T")

OK = 0
FAILED = 1
USAGE = 2
BAD_CONFIG = 78


class Format(StrEnum):
    """What `--output` takes."""

    TEXT = "text"
    JSON = "json"


Output = Annotated[
    Format, typer.Option("--output", "-o", help="How to print the answer.", case_sensitive=False)
]


def show(value: T, output: Format, text: Callable[[T], str]) -> None:
    """Prints a value as JSON, or as the text that `text` makes of it."""
    if output is Format.JSON:
        sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    else:
        sys.stdout.write(text(value))


def complain(message: str, code: int = FAILED) -> typer.Exit:
    """Prints a complaint; raise what it returns to leave with `code`."""
    sys.stderr.write(f"headgate: {message}\n")
    return typer.Exit(code)
