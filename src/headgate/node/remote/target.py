"""Names the data plane of a control plane, and the files of a control link."""

import msgspec


class Files(msgspec.Struct, frozen=True):
    """Paths of PEM files: our certificate with its chain, its key, and who signs the others'."""

    cert: str
    key: str
    ca: str


class Target(msgspec.Struct, frozen=True):
    """`address` (host:port) is where the data plane listens, `name` what its certificate says."""

    address: str
    name: str
    files: Files

    def parts(self) -> tuple[str, int]:
        """Returns host and port."""
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)
