"""Defines what `headgate run` passes to the control process, as one JSON argument."""

from typing import Literal

import msgspec

from headgate.node.remote.target import Target


class Options(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The control process's settings; addresses are `host:port`.

    `configs` are files and directories; empty = the environment alone (`PROXY_*`). `admin`,
    `metrics`, `log_level`, `workers` override the config where they are given; an empty `admin`
    serves only the Unix socket. `admin_hosts` are names that requests may have as Host, beside
    addresses and `localhost`. `engine` is what the node was started with; `engine_is_forced` says
    that the command line chose it and not the config. `user` is the config's user for a node that
    root starts. `remote` is the data plane of a control plane without a supervisor of its own.
    `master` is the address of an agent's master, whose config it serves; `configs` then have the
    settings of the node alone. `name` tells it from other nodes of this host; empty if it has none.
    `agent_dir` is the state directory of the agent that this node is the instance `instance` of;
    both are empty for a node of its own. `title` and `labels` are what an instance enrols with.
    `upgrade_command` is the file that installs the version of headgate that is its argument, for
    the master's orders; None: the node takes none.
    """

    state_dir: str
    configs: list[str] = []
    admin: list[str] | None = None
    metrics: list[str] | None = None
    admin_hosts: list[str] = []
    log_level: str | None = None
    workers: int | None = None
    watch: bool = True
    engine: Literal["native", "nginx"] = "native"
    engine_is_forced: bool = False
    user: str | None = None
    remote: Target | None = None
    master: str | None = None
    name: str = ""
    upgrade_command: str | None = None
    instance: str = ""
    agent_dir: str = ""
    title: str = ""
    labels: dict[str, str] = {}

    def encode(self) -> str:
        """Returns the argument that `decode` understands."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def decode(argument: str) -> "Options":
        """Returns the options of an argument; raises msgspec.ValidationError if it is none."""
        return msgspec.json.decode(argument, type=Options)
