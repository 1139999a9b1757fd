"""Writes the output of commands: text or JSON on standard output, errors on standard error."""

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
    """The values of `--output`."""

    TEXT = "text"
    JSON = "json"


Output = Annotated[
    Format, typer.Option("--output", "-o", help="The format of the output.", case_sensitive=False)
]


def show(value: T, output: Format, text: Callable[[T], str]) -> None:
    """Prints a value as JSON, or as text with the function `text`."""
    if output is Format.JSON:
        sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    else:
        sys.stdout.write(text(value))


def complain(message: str, code: int = FAILED) -> typer.Exit:
    """Prints an error message; raise the result to exit with `code`."""
    sys.stderr.write(f"headgate: {message}\n")
    return typer.Exit(code)
