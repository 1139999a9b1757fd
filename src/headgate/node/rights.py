"""Reads from the kernel what each process of a node may do: its user, capabilities and filters."""

import pwd
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

NAMES: Final = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid",
    "setpcap", "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw",
    "ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct",
    "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod",
    "lease", "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog",
    "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore",
)  # fmt: skip
"""By bit, from capabilities(7)."""
_READS: Final = frozenset({"net_bind_service", "dac_read_search", "dac_override"})
_MEANT: Final[dict[str, frozenset[str]]] = {
    "supervisor": _READS | {"net_admin"},
    "control": _READS,
    "gate": _READS,
    "dataplane": frozenset(),
}
_FILTERED: Final = "2"


class ProcessRights(msgspec.Struct, frozen=True):
    """`process`: `supervisor`, `control`, `gate`, `dataplane`, or `nginx`: the master of an nginx
    that the node starts. `capabilities`: those that are permitted, in effect or not.

    `seccomp`: whether the kernel refuses it system calls that serving does not need.
    """

    process: str
    pid: int
    user: str
    capabilities: list[str]
    no_new_privs: bool
    seccomp: bool


def rights(process: str, pid: int, proc: Path = Path("/proc")) -> ProcessRights | None:
    """Returns what a process may do; None when it is gone or hidden."""
    try:
        text = (proc / str(pid) / "status").read_text()
        found = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        return ProcessRights(
            process,
            pid,
            _user(int(found["Uid"].split()[1])),
            capabilities(int(found["CapPrm"], 16)),
            found.get("NoNewPrivs") == "1",
            found.get("Seccomp") == _FILTERED,
        )
    except (OSError, KeyError, ValueError):
        return None


def capabilities(bits: int) -> list[str]:
    """Returns the names of a set of capabilities; one that we do not know is its number.

    >>> capabilities(0b110000000100)
    ['dac_read_search', 'net_bind_service', 'net_broadcast']
    """
    places = (bit for bit in range(64) if bits >> bit & 1)
    return [NAMES[bit] if bit < len(NAMES) else f"cap_{bit}" for bit in places]


def warnings(
    found: Iterable[ProcessRights],
    *,
    root_is_meant: bool,
    meant: Mapping[str, frozenset[str]] = _MEANT,
) -> list[str]:
    """Returns what a node has and does not need, as sentences. `meant`: what each process keeps, by
    default that of a native node."""
    out: list[str] = []
    everything = list(found)
    if not root_is_meant and any(one.user == "root" for one in everything):
        out.append(
            'the node runs as root: create a system user "headgate", or write node.user = "root" '
            "if root is meant"
        )
    for one in everything:
        kept = [name for name in one.capabilities if name not in meant[one.process]]
        if kept:
            out.append(f"the {one.process} process keeps capabilities: {', '.join(kept)}")
        if not one.no_new_privs:
            out.append(f"the {one.process} process may gain rights (NoNewPrivs is not set)")
        if one.process == "dataplane" and not one.seccomp:
            out.append("the dataplane process has no filter of system calls (seccomp)")
    return out


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
