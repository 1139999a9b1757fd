"""The port between a node and the place where it enrols and renews its certificate."""

from typing import Protocol

from headgate.providers.master.identity import Identity


class EnrolmentError(Exception):
    """The node could not enrol or renew. `is_final`: another try with this token is useless."""

    def __init__(self, text: str, *, is_final: bool) -> None:
        super().__init__(text)
        self.is_final = is_final


class Office(Protocol):
    """The place where a node enrols and renews its certificate."""

    async def enrol(self) -> Identity:
        """Returns what the master gave for the token; raises EnrolmentError."""
        ...

    async def renew(self, identity: Identity) -> Identity:
        """Returns the identity with its next certificate; raises EnrolmentError."""
        ...
