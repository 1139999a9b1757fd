"""The command that makes hashes of passwords for `basic_auth`."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from headgate.cli.output import FAILED


class Algorithm(StrEnum):
    """The algorithm that hashes passwords."""

    ARGON2 = "argon2"
    BCRYPT = "bcrypt"


_LONGEST = {Algorithm.ARGON2: 1024, Algorithm.BCRYPT: 72}
"""Bytes of a password: what the data plane looks at, and what bcrypt does."""


def hash_password(
    user: Annotated[
        str,
        typer.Argument(metavar="USER", help="The user's name, which is written before the hash."),
    ] = "",
    algorithm: Annotated[
        Algorithm,
        typer.Option(help="The hash algorithm; nginx as the engine supports bcrypt only."),
    ] = Algorithm.ARGON2,
    cost: Annotated[
        int,
        typer.Option(
            min=4,
            max=16,
            help="The cost of bcrypt: one more doubles the time that a hash takes, for nginx at "
            "each request.",
        ),
    ] = 10,
) -> None:
    """Hash a password for `basic_auth`.

    The command asks for the password, or reads it as one line from standard input.

    \b
    Examples:
      headgate hash-password alice >> /etc/headgate/users
      headgate hash-password --algorithm bcrypt alice >> /etc/headgate/users
      printf '%s' "$PASSWORD" | headgate hash-password
    """
    if sys.stdin.isatty():
        password = str(
            typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        )
    else:
        password = sys.stdin.readline().removesuffix("\n")
    wrong = _wrong(user, password, _LONGEST[algorithm])
    if wrong:
        sys.stderr.write(f"headgate: {wrong}\n")
        raise typer.Exit(FAILED)
    hashed = _bcrypt(password, cost) if algorithm is Algorithm.BCRYPT else _argon2(password)
    sys.stdout.write(f"{user}:{hashed}\n" if user else f"{hashed}\n")


def _argon2(password: str) -> str:
    from argon2 import PasswordHasher

    # The least that OWASP recommends for argon2id.
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(password)


def _bcrypt(password: str, cost: int) -> str:
    import bcrypt

    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def _wrong(user: str, password: str, longest: int) -> str:
    """Returns what is wrong, and what is allowed."""
    if not password:
        return "there is no password; write one line to standard input"
    if len(password.encode()) > longest:
        return f"the password is too long; write at most {longest} bytes"
    if not password.isprintable():
        return "the password has control characters; write one line of text"
    if ":" in user or (user and not user.isprintable()):
        return f"{user!r} is no name of a user; write a name without colon and control characters"
    return ""


COMMANDS = (hash_password,)
