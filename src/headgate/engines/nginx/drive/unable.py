"""Why an nginx cannot be driven as the config says, and which key to look at."""


class CannotDriveError(Exception):
    """`key` is the one of `[node.nginx]` that is wrong or missing."""

    key = "conf"


class NoBinaryError(CannotDriveError):
    """There is no nginx to drive; says where was looked."""

    key = "binary"


class WrongConfError(CannotDriveError):
    """The nginx.conf of others cannot be read, or has no place for us; says what to add."""
