"""Checks for PREFLIGHT what else could keep a release from serving on this host. It binds
nothing.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.common.types import Instance, Process
from headgate.engines.nginx.observe.processes import figures

DRAINING_CAP: Final = 3
"""Generations that still finish requests; each holds its memory until then."""
_HEADROOM: Final = 1.2
_PROC: Final = Path("/proc")


def ports(instance: Instance, addresses: Iterable[str]) -> Iterator[Finding]:
    """Finds new listeners whose address another process holds: nginx would refuse the reload."""
    for address in addresses:
        if address.startswith("unix:"):
            continue
        try:
            holder = instance.holder(address)
        except ValueError as error:
            text = f"who holds {address} cannot be told: {error}"
            yield Finding("port_unknown", text, is_error=False)
            continue
        if holder is not None:
            text = f"{address} is held by {holder}"
            yield Finding("port_held", text, is_transient=True)


def folders(paths: Iterable[Path]) -> Iterator[Finding]:
    """Checks the folders of nginx's socket, pid file and logs."""
    for path in paths:
        if not path.is_dir():
            yield Finding("missing_file", f"the folder {path} is missing", is_transient=True)


def draining(instance: Instance, cap: int) -> Iterator[Finding]:
    """Finds too many old generations that still drain."""
    count = figures(None, instance.workers()).draining_generations
    if count >= cap:
        text = f"{count} old generations still drain, at most {cap} may: retried when one has ended"
        yield Finding("draining", text, is_transient=True)


def memory(instance: Instance) -> Iterator[Finding]:
    """Finds less free memory than one more generation takes."""
    available = _meminfo()
    workers = [one for one in instance.workers() if not one.shutting_down]
    need = _HEADROOM * sum(map(_resident, workers))
    if available is not None and available < need:
        text = (
            f"{available >> 20} MiB of memory are available; another generation of"
            f" {len(workers)} workers takes about {int(need) >> 20} MiB"
        )
        yield Finding("memory", text, is_transient=True)


def upgrading() -> Finding:
    """Returns the finding for a binary upgrade under way: HUP means something else during one."""
    text = "an nginx binary upgrade is under way: HUP would not load the config"
    return Finding("upgrading", text, is_transient=True)


def _meminfo() -> int | None:
    """Returns MemAvailable in bytes (proc_meminfo(5)); None where it is missing."""
    try:
        lines = (_PROC / "meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _resident(process: Process) -> int:
    """Returns PSS in bytes, which counts shared memory once; else RSS;
    0 for a process that is gone.
    """
    folder = _PROC / str(process.pid)
    for name, field in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            lines = (folder / name).read_text(errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    return 0
