"""Says what the processes of a node keep of root's capabilities where nginx serves, and why.

nginx's master is root, to bind ports and to give its workers another user. The node that starts,
tests and signals it stays root, too.
"""

import os
from collections.abc import Iterable
from typing import Final

from headgate.compile.settings import NginxSettings
from headgate.engines.nginx.instance import bubblewrap, running
from headgate.node import rights
from headgate.node.rights import NAMES, ProcessRights

NGINX: Final = frozenset(NAMES[bit] for bit in running.KEPT)
"""The capabilities of an nginx that the node starts; the node has them to hand them on."""
LIMITS: Final = frozenset({"setpcap"})
"""Takes capabilities from nginx and from a config test before they start."""
COPIES: Final = frozenset({"net_admin", "sys_admin"})
"""Make the file system and the network that a config test sees (bubblewrap)."""
LOOKS: Final = frozenset({"sys_chroot", "sys_ptrace"})
"""Look, through /proc, at an nginx that has more capabilities than the node; enter its root."""

_NODE: Final = NGINX | LIMITS | COPIES | LOOKS


def kept_for(settings: NginxSettings) -> frozenset[str]:
    """Returns what a node keeps, where it has it, to drive this nginx."""
    is_foreign = settings.start != "own" or settings.mode != "full"
    return _kept(LOOKS if is_foreign else frozenset())


def kept_by_agent() -> frozenset[str]:
    """Returns what an agent with several instances keeps: any nginx may be added."""
    return _kept(LOOKS)


def warnings(found: Iterable[ProcessRights]) -> list[str]:
    """Returns what the processes have and do not need, as sentences."""
    meant = {"supervisor": _NODE, "control": _NODE, "nginx": NGINX}
    return rights.warnings(found, root_is_meant=True, meant=meant)


def _kept(more: frozenset[str]) -> frozenset[str]:
    if os.geteuid() != 0:  # another user's config tests take rights from themselves alone
        return NGINX | more
    return NGINX | LIMITS | more | (COPIES if bubblewrap.found() else frozenset())
