"""Defines the error of a config that cannot be read now."""

from headgate.cli.told import ToldError


class UnansweredError(ToldError):
    """The file system does not answer; the message names what was waited for."""
