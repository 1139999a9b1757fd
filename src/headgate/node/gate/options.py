"""Defines what `headgate dataplane` passes to the gate, as one JSON argument."""

import msgspec

from headgate.node.remote.target import Files


class GateOptions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The gate's settings; addresses are `host:port`.

    `control_names` are the names of which a control plane's certificate must have one; empty = any
    certificate that the CA signed.
    """

    state_dir: str
    listen: str
    files: Files
    control_names: list[str] = []
    metrics: list[str] = []
    admin_hosts: list[str] = []
    log_level: str | None = None
    user: str | None = None

    def encode(self) -> str:
        """Returns the argument that `decode` understands."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def decode(argument: str) -> "GateOptions":
        """Returns the options of an argument; raises msgspec.ValidationError if it is none."""
        return msgspec.json.decode(argument, type=GateOptions)
