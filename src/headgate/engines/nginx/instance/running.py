"""Starts and ends nginx."""

import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from headgate.engines.nginx.common.types import Process, RightMissingError
from headgate.engines.nginx.instance import pidfd
from headgate.engines.nginx.instance.procfs import Procfs

KEPT: Final = frozenset({0, 1, 2, 3, 5, 6, 7, 10, 13, 23, 24})
"""The rights of an nginx that we start, by number, from capabilities(7). CAP_CHOWN, DAC_OVERRIDE,
DAC_READ_SEARCH and FOWNER: it makes folders for its workers and opens logs and keys of any user.
KILL: its workers have another user. SETGID, SETUID: they change to that user. NET_BIND_SERVICE:
ports below 1024. For directives of a config that a person wrote: NET_RAW (`proxy_bind …
transparent`), SYS_NICE (`worker_priority`), SYS_RESOURCE (`worker_rlimit_nofile`)."""

_NARROWED: Final = str(Path(__file__).with_name("narrowed.py"))
_START_S: Final = 30.0
_TERM_S: Final = 5.0
_SAID_BYTES: Final = 16 * 1024


class NotStartedError(Exception):
    """nginx or systemd refused to start it; the message is theirs."""


def narrowed(command: Sequence[str]) -> list[str]:
    """Returns the command that runs a program, given by its absolute path, with the rights `KEPT`
    and no others."""
    return [sys.executable, "-I", "-S", _NARROWED, ",".join(map(str, sorted(KEPT))), *command]


def started(command: Sequence[str], what: str) -> None:
    """Runs a command that starts a daemon and ends itself.

    Raises NotStartedError with its words, RightMissingError without the permission.
    """
    environment = {k: v for k, v in os.environ.items() if k not in {"NGINX", "NGINX_VAR"}}
    # A file, not a pipe: the daemon keeps its standard error open.
    with tempfile.TemporaryFile() as said:
        try:
            code = subprocess.run(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=environment,
                timeout=_START_S,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise NotStartedError(f"{what} did not come up in {_START_S:g} s") from None
        except PermissionError as error:
            raise RightMissingError(f"{what}: {error}") from None
        except OSError as error:
            raise NotStartedError(f"{what}: {error}") from None
        if code == 0:
            return
        said.seek(0)
        words = said.read(_SAID_BYTES).decode(errors="replace").strip()
    message = f"{what} ended with {code}: {words}"
    if os.geteuid() != 0 and ("(13: " in words or "Access denied" in words):
        raise RightMissingError(f"{message} (as uid {os.geteuid()})")
    raise NotStartedError(message)


def stopped(process: Process, procfs: Procfs, deadline_s: float) -> bool:
    """Ends a master: QUIT, and TERM when its workers are not done in `deadline_s` seconds.

    True when QUIT was enough, or it had already ended. Raises RightMissingError, or TimeoutError
    when even TERM did not end it within 5 s.
    """
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        pidfd.send(process, "QUIT", procfs)
        if _ended(handle, deadline_s):
            return True
        pidfd.send(process, "TERM", procfs)
        if _ended(handle, _TERM_S):
            return False
    except ProcessLookupError:
        return True
    finally:
        os.close(handle)
    raise TimeoutError(f"the nginx master {process.pid} did not end after TERM")


def _ended(handle: int, timeout_s: float) -> bool:
    """Reports whether the process ends in time: its pidfd becomes readable then (pidfd_open(2))."""
    return bool(select.select([handle], [], [], timeout_s)[0])
