"""The errors that stop a command that talks to a master."""

from headgate.cli.told import ToldError


class ContextError(ToldError):
    """The contexts cannot be read or written, or there is none; the message says what to do."""


class MasterError(ToldError):
    """The master refused, or does not answer; `status` is 0 without an answer."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status
