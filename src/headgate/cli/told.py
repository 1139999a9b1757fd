"""The base of errors that a command tells its user in one line."""


class ToldError(Exception):
    """A command cannot go on; the message says why and, where that helps, what to do."""
