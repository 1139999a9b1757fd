"""The command that makes hashes of passwords for `basic_auth`."""

import sys
from typing import Annotated

import typer

from headgate.cli.output import FAILED

_LONGEST = 1024
"""Bytes of a password that the data plane looks at."""


def hash_password(
    user: Annotated[
        str, typer.Argument(metavar="USER", help="Whose password it is; written before the hash.")
    ] = "",
) -> None:
    """Make the argon2 hash of a password, for `basic_auth`.

    The password is asked for, or read from standard input, which is one line then.

    \b
    Examples:
      headgate hash-password alice >> /etc/headgate/users
      printf '%s' "$PASSWORD" | headgate hash-password
    """
    from argon2 import PasswordHasher

    if sys.stdin.isatty():
        password = str(
            typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        )
    else:
        password = sys.stdin.readline().removesuffix("\n")
    wrong = _wrong(user, password)
    if wrong:
        sys.stderr.write(f"headgate: {wrong}\n")
        raise typer.Exit(FAILED)
    # The least that OWASP recommends for argon2id.
    hashed = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(password)
    sys.stdout.write(f"{user}:{hashed}\n" if user else f"{hashed}\n")


def _wrong(user: str, password: str) -> str:
    """Returns what is wrong, and what is allowed."""
    if not password:
        return "there is no password; write one line to standard input"
    if len(password.encode()) > _LONGEST:
        return f"the password is too long; write at most {_LONGEST} bytes"
    if not password.isprintable():
        return "the password has control characters; write one line of text"
    if ":" in user or (user and not user.isprintable()):
        return f"{user!r} is no name of a user; write a name without colon and control characters"
    return ""


COMMANDS = (hash_password,)
