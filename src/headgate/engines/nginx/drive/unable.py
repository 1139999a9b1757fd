"""Errors that say why the node cannot drive an nginx, and which key to look at."""


class CannotDriveError(Exception):
    """`key` is the one of `[node.nginx]` that is wrong or missing."""

    key = "conf"


class NoBinaryError(CannotDriveError):
    """Found no nginx to drive; says where it looked."""

    key = "binary"


class WrongConfError(CannotDriveError):
    """The foreign nginx.conf is unreadable, or does not include us; says what to add."""
