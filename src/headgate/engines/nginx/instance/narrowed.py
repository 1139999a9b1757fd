"""Becomes nginx with no more rights than its master needs, whatever those of the node are.

Started as `python -I -S narrowed.py CAPABILITIES BINARY ARGUMENTS…` (`running.py` does), the first
as numbers with commas between them; standard library alone. What nginx starts afterwards (workers,
the new master of a binary upgrade) has the same limits and cannot gain rights.
"""

import os
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

import confined_fence as fence  # type: ignore[import-not-found,unused-ignore]

_NOT_STARTED: Final = 127


def main() -> int:
    """Gives up the other rights and becomes the program; returns its exit code if it cannot."""
    kept = frozenset(map(int, sys.argv[1].split(",")))
    command = sys.argv[2:]
    try:
        # Without CAP_SETPCAP its bounds stay, but no_new_privs lets it gain nothing from them.
        fence.give_up_rights(is_root=os.geteuid() == 0, kept=kept)
        fence.keep_only(kept)
        fence.no_new_rights()
        os.execv(command[0], command)  # noqa: S606 - the node's nginx, no shell
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
    return _NOT_STARTED


if __name__ == "__main__":
    sys.exit(main())
