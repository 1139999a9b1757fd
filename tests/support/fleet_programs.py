"""Versions of headgate on one host, and the command that installs one, for tests of upgrades."""

import os
from pathlib import Path

OLD, NEW, LYING, BROKEN, MISSING = "9.0.0", "9.1.0", "9.2.0", "9.3.0", "9.4.0"

_COMMAND = """#!/bin/sh
set -eu
cd "$(dirname "$0")"
echo "$1" >> asked
# Who holds the installation writes a line when it may go on.
if [ -p held ]; then read -r _ < held || true; fi
[ -d "$1" ] || { echo "there is no headgate $1 here" >&2; exit 7; }
ln -sfn "$1" next && mv -T next current
"""


class Programs:
    """Versions of headgate on this host: the same code under other names, the first one found by
    Python. `current` is a link to the installed one, which the upgrade command turns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.current = folder / "current"
        for version in (OLD, NEW):
            self._add(version, version)
        self._add(LYING, "9.2.9")
        self._add(BROKEN, BROKEN)
        # A program that ends as soon as it is a control process.
        broken = (
            "import os, sys\n"
            "if 'headgate.node' in sys.orig_argv:\n"
            "    os.write(1, b'it is broken\\n')\n"
            "    os._exit(3)\n"
        )
        (folder / BROKEN / "sitecustomize.py").write_text(broken)
        self.current.symlink_to(OLD)
        self.command = folder / "install-headgate"
        self.command.write_text(_COMMAND)
        self.command.chmod(0o755)
        self._held = folder / "held"

    def _add(self, version: str, told: str) -> None:
        metadata = self.folder / version / "headgate-9.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: headgate\nVersion: {told}\n"
        )

    @property
    def environment(self) -> dict[str, str]:
        """What a node is started with to run what is installed, and to install another one."""
        return {
            "PYTHONPATH": str(self.current),
            "HEADGATE_UPGRADE_COMMAND": str(self.command),
        }

    @property
    def installed(self) -> str:
        """What would be started now."""
        return self.current.readlink().name

    @property
    def asked(self) -> list[str]:
        """What the command was called for, in that order."""
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def hold(self) -> None:
        """Lets the next installation wait until `release`."""
        if not self._held.exists():
            os.mkfifo(self._held)

    def release(self) -> None:
        """Lets an installation that waits, and those that follow, go on."""
        if not self._held.exists():
            return
        # Both ends, so that neither this nor a reader waits for the other one.
        held = os.open(self._held, os.O_RDWR)
        try:
            self._held.unlink()
            os.write(held, b"go on\n")
        finally:
            os.close(held)
