"""Other programs that some tests talk to: `make system-deps` installs them on Debian."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

# Where Debian keeps servers; not on every user's path.
PLACES = "/usr/sbin:/sbin"


def peer(command: str) -> Path:
    """The program of that name. Without it the test is skipped by its name, or fails in CI."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), PLACES])
    found = shutil.which(command, path=path)
    if found is None:
        unavailable(f"{command} is missing: sudo make system-deps")
    return Path(found)


ROOT_ONLY = pytest.mark.skipif(  # noqa: TID251 - the one place
    os.geteuid() != 0 and os.environ.get("CI") != "true", reason="takes root"
)
"""Skips a test for who is not root; in CI it runs, and fails, for everyone."""


def unavailable(reason: str) -> NoReturn:
    """Skips the test for what this machine lacks; fails it in CI, which must have everything."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)  # noqa: TID251 - the one place
