"""Warns of TCP Fast Open that the kernel of this machine does not give listeners."""

from pathlib import Path
from typing import Final

import msgspec

from headgate.compile.loaded import Loaded
from headgate.compile.located import locator, said
from headgate.kernel.diagnostics import Diagnostic, Severity
from headgate.plan.objects import Listener

SYSCTL: Final = Path("/proc/sys/net/ipv4/tcp_fastopen")
"""The kernel's setting, for IPv6 too: bit 1 clients, bit 2 listeners (Linux, ip-sysctl.rst)."""

_LISTENERS: Final = 2


def refused(loaded: Loaded, sysctl: Path) -> tuple[Diagnostic, ...]:
    """Returns a warning for each listener with `fast_open`, if the kernel refuses it to listeners.

    None where it does not say (`sysctl` cannot be read).
    """
    if loaded.plan is None:
        return ()
    wanted = [
        str(key.name)
        for key, entry in loaded.plan.objects.items()
        if isinstance(entry.value, Listener) and entry.value.fast_open
    ]
    if not wanted or _allows(sysctl):
        return ()
    locate = locator(loaded, "config")
    found = (
        said(
            locate("listener", name, "fast_open"),
            "the kernel does not allow TCP Fast Open to listeners, so connections open as usual",
            "run `sysctl net.ipv4.tcp_fastopen=3`, or remove it",
        )
        for name in sorted(wanted)
    )
    return tuple(_warning(one) for one in found)


def _warning(found: Diagnostic) -> Diagnostic:
    return msgspec.structs.replace(found, severity=Severity.WARNING)


def _allows(sysctl: Path) -> bool:
    try:
        return bool(int(sysctl.read_text()) & _LISTENERS)
    except (OSError, ValueError):
        return True
