"""Defines the error of a config that cannot be read now."""


class UnansweredError(Exception):
    """The file system does not answer; the message names what was waited for."""
