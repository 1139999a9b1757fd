"""Runs the operator's command that installs a version of headgate, and asks what is installed. The
command is a file and its one argument the version: no shell reads either."""

import asyncio
import contextlib
import fcntl
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from headgate.fleet.programs import is_program

_COMMAND_S: Final = 600.0
_CHECK_S: Final = 60.0
_LOOK_S: Final = 0.2
_SAID: Final = 1_500
"""So many of the last bytes that a command wrote are told."""
_SECRETS: Final = ("HEADGATE_AGENT_TOKEN", "NXMESH_AGENT_TOKEN")


class InstallError(Exception):
    """The version could not be installed; the message says why, with what the command wrote."""


class Installer(Protocol):
    """A way to bring another version of headgate to this host."""

    async def install(self, program: str) -> None:
        """Installs a version; what runs is not touched. Raises InstallError."""
        ...

    async def installed(self) -> str:
        """Returns the version that would be started now; raises InstallError if none would."""
        ...


class CommandInstaller:
    """An `Installer` of a command. What a command leaves running is ended with it."""

    def __init__(
        self,
        command: Path,
        check: Sequence[str],
        folder: Path,
        limits_s: tuple[float, float] = (_COMMAND_S, _CHECK_S),
        shared: Path | None = None,
    ) -> None:
        """`check`: prints the version that is installed, if that can drive this node. `folder`:
        for what the command writes. `limits_s`: of the command and of the check. `shared`: the
        folder of an agent whose instances share the installation, and take turns."""
        self._command = command
        self._check = list(check)
        self._folder = folder
        self._limits_s = limits_s
        self._lock = (shared or folder) / "upgrade.lock"
        self._waits_s = limits_s[0] if shared is not None else 0.0

    async def install(self, program: str) -> None:
        """See Installer."""
        if not is_program(program):
            raise InstallError(f"{program!r} is not a version")
        command = [str(self._command), program]
        code, said = await self._run(command, self._limits_s[0], self._log)
        if code is None:
            limit = self._limits_s[0]
            raise InstallError(_told(f"{self._command} did not end within {limit:.0f} s", said))
        if code:
            raise InstallError(_told(f"{self._command} failed with exit code {code}", said))

    async def installed(self) -> str:
        """See Installer."""
        code, said = await self._run(self._check, self._limits_s[1], self._unnamed)
        found = said.splitlines()[-1] if said else ""
        if code != 0 or not is_program(found):
            raise InstallError(_told("the installed program cannot drive this node", said))
        return found

    def _log(self) -> BinaryIO:
        """Returns the file that keeps what the command writes, empty."""
        mode = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        file = os.fdopen(os.open(self._folder / "upgrade.log", mode, 0o600), "w+b")
        os.fchmod(file.fileno(), 0o600)
        return file

    def _unnamed(self) -> BinaryIO:
        return tempfile.TemporaryFile(dir=self._folder)

    async def _run(
        self, command: Sequence[str], limit_s: float, written_to: Callable[[], BinaryIO]
    ) -> tuple[int | None, str]:
        """Returns the exit code, None after the limit, and the end of what the command wrote."""
        environment = {k: v for k, v in os.environ.items() if k not in _SECRETS}
        try:
            async with self._alone() as lock:
                with written_to() as output:
                    process = await asyncio.create_subprocess_exec(
                        *command,
                        stdin=asyncio.subprocess.DEVNULL,
                        stdout=output,
                        stderr=output,
                        env=environment,
                        start_new_session=True,
                        pass_fds=(lock,),
                    )
                    code = await _ended(process, limit_s)
                    output.seek(max(0, output.seek(0, os.SEEK_END) - _SAID))
                    return code, output.read().decode(errors="replace").strip()
        except BlockingIOError:
            raise InstallError("an earlier upgrade command still runs") from None
        except OSError as error:
            raise InstallError(f"{command[0]} cannot be run: {error.strerror or error}") from error

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[int]:
        """Holds a lock that the command inherits: one that outlives its agent keeps it."""
        lock = os.open(self._lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            await self._turn(lock)
            yield lock
        finally:
            os.close(lock)

    async def _turn(self, lock: int) -> None:
        """Takes the lock, when it is free; raises BlockingIOError if it does not become so."""
        given_up_at = time.monotonic() + self._waits_s
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= given_up_at:
                    raise
                await asyncio.sleep(_LOOK_S)
            else:
                return


async def _ended(process: asyncio.subprocess.Process, limit_s: float) -> int | None:
    try:
        async with asyncio.timeout(limit_s):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _told(what: str, said: str) -> str:
    return f"{what}: {said}" if said else what
