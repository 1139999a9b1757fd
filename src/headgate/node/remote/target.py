"""Names the data plane of a control plane, and what an end of a control link is trusted by."""

from typing import Literal

import msgspec

Role = Literal["agent", "dataplane"]


class Files(msgspec.Struct, frozen=True):
    """Paths of PEM files: our certificate with its chain, its key, and who signs the others'."""

    cert: str
    key: str
    ca: str


class Fleet(msgspec.Struct, frozen=True):
    """The identity that a master gave this end, as an agent or as a data plane, in `folder`."""

    folder: str
    role: Role


Trust = Files | Fleet


class Target(msgspec.Struct, frozen=True):
    """`address` (host:port) is where the data plane listens, `name` what its certificate says, if
    that comes from files. It has either `files` or `fleet`."""

    address: str
    name: str
    files: Files | None = None
    fleet: Fleet | None = None

    @property
    def trust(self) -> Trust:
        """The source of the certificates."""
        return trust_of(self.files, self.fleet)

    def parts(self) -> tuple[str, int]:
        """Returns host and port."""
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)


def trust_of(files: Files | None, fleet: Fleet | None) -> Trust:
    """Returns the one that is given; raises ValueError for none or both."""
    if files is None and fleet is not None:
        return fleet
    if files is not None and fleet is None:
        return files
    raise ValueError("a control link has certificates from files or from a fleet")
