"""Defines what `headgate dataplane` passes to the gate, as one JSON argument."""

import msgspec

from headgate.node.remote.target import Files, Fleet, Trust, trust_of


class GateOptions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The gate's settings; addresses are `host:port`.

    `control_names` are the names of which a control plane's certificate must have one; empty = any
    certificate that the CA signed. It has either `files` or `fleet`, and with that `master`, the
    address of the master whose CA issues the certificate.
    """

    state_dir: str
    listen: str
    files: Files | None = None
    fleet: Fleet | None = None
    control_names: list[str] = []
    master: str = ""
    metrics: list[str] = []
    admin_hosts: list[str] = []
    log_level: str | None = None
    user: str | None = None

    @property
    def trust(self) -> Trust:
        """The source of the certificates."""
        return trust_of(self.files, self.fleet)

    def encode(self) -> str:
        """Returns the argument that `decode` understands."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def decode(argument: str) -> "GateOptions":
        """Returns the options of an argument; raises msgspec.ValidationError if it is none."""
        return msgspec.json.decode(argument, type=GateOptions)
