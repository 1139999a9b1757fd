"""Writes the output of commands: text or JSON on standard output, errors on standard error."""

import re
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Final, TypeVar

import msgspec
import typer

T = TypeVar("T")

OK = 0
FAILED = 1
USAGE = 2
BAD_CONFIG = 78
_OBEYED: Final = re.compile("[\x7f-\x9f]")


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
        sys.stdout.write(f"{as_json(value)}\n")
    else:
        sys.stdout.write(text(value))


def as_json(value: object) -> str:
    """Returns a value as JSON in one line."""
    return escaped(msgspec.json.encode(value).decode())


def escaped(json: str) -> str:
    """Returns JSON that says the same without characters that a terminal obeys; of these, JSON
    needs no escapes for the ones from 7F to 9F.

    >>> escaped('"\\x9b31m"')
    '"\\\\u009b31m"'
    """
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", json)


def printable_text(text: str) -> str:
    """Returns a text of some lines, each of them printable."""
    return "\n".join(map(printable, text.split("\n")))


def printable(line: str) -> str:
    """Returns a line of which no control character but a tab reaches a terminal."""
    return "".join(one if one.isprintable() or one == "\t" else "?" for one in line)


def complain(message: str, code: int = FAILED) -> typer.Exit:
    """Prints an error message; raise the result to exit with `code`."""
    sys.stderr.write(printable_text(f"headgate: {message}\n"))
    return typer.Exit(code)
