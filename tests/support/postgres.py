"""A PostgreSQL of our own: Debian's, as its own user, on a Unix socket in a folder of its own, and
on a TCP port with TLS if it has a certificate.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import loops
from peers import unavailable
from ports import free_port
from tls_authority import Pair
from waiting import DEADLINE_S, until

_USER = "postgres"
_MEMORY = Path("/dev/shm")
_ROOM = 1 << 30
_END = "SELECT pg_terminate_backend(pid, $2) FROM pg_stat_activity WHERE datname = $1"


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=str)
    if not found:
        unavailable("PostgreSQL is missing: sudo make system-deps")
    return found[-1].parent


def _quick() -> Path | None:
    """A folder in memory with room for clusters, where there is one: a database is three hundred
    files, and a disk looks long for the place of each while others were just removed."""
    try:
        found = os.statvfs(_MEMORY)
    except OSError:
        return None
    return _MEMORY if found.f_bavail * found.f_frsize >= _ROOM else None


class Postgres:
    """A running cluster; `kill` and `start` are for tests of crashes."""

    def __init__(self, *, is_durable: bool = False, pair: Pair | None = None) -> None:
        self._programs = _programs()
        place = None if is_durable else _quick()
        self.folder = Path(tempfile.mkdtemp(prefix="hg-pg-", dir=place))
        self.is_durable = is_durable
        self._as: dict[str, int] = {}
        if os.geteuid() == 0:
            entry = pwd.getpwnam(_USER)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
            self._as = {"user": entry.pw_uid, "group": entry.pw_gid}
        self._data = self.folder / "data"
        self._log = self.folder / "log"
        self._log.touch()
        self._run("initdb", "-D", str(self._data), "-U", _USER, "-A", "trust", "-E", "UTF8", "-N")
        self.port = free_port() if pair else 5432
        self._listens = ["-c", f"listen_addresses={'127.0.0.1' if pair else ''}"]
        self._listens += ["-c", f"port={self.port}"]
        if pair:
            cert, key = self._own(pair.cert_file), self._own(pair.key_file)
            self._listens += ["-c", "ssl=on", "-c", f"ssl_cert_file={cert}"]
            self._listens += ["-c", f"ssl_key_file={key}"]
        self._server: subprocess.Popen[bytes] | None = None
        self.start()

    def _own(self, path: Path) -> Path:
        """A copy of a file that only the server's user can read."""
        copy = self.folder / path.name
        shutil.copyfile(path, copy)
        copy.chmod(0o600)
        if self._as:
            os.chown(copy, self._as["user"], self._as["group"])
        return copy

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            extra_groups=[] if self._as else None,
            **self._as,  # type: ignore[call-overload]
        )

    def start(self) -> None:
        """Starts the server, and returns once it answers."""
        quick = [] if self.is_durable else ["-c", "fsync=off", "-c", "synchronous_commit=off"]
        command = [str(self._programs / "postgres"), "-D", str(self._data)]
        command += [*self._listens, "-k", str(self.folder), *quick]
        command += ["-c", "max_connections=200", "-c", "shared_buffers=16MB"]
        command += ["-c", "max_wal_size=128MB"]
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                extra_groups=[] if self._as else None,
                **self._as,  # type: ignore[call-overload]
            )
        until(self._answers, "PostgreSQL answers")

    def _answers(self) -> bool:
        try:
            loops.run(self._execute("SELECT 1"))
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    async def _execute(self, statement: str, alone_in: str = "") -> None:
        """`alone_in`: a database whose sessions end before. PostgreSQL waits five seconds for that,
        and those of clients that have left may need longer on a busy machine."""
        at = {"host": str(self.folder), "port": self.port}
        connection = await asyncpg.connect(**at, user=_USER, database=_USER)
        try:
            if alone_in:
                await connection.execute(_END, alone_in, round(DEADLINE_S * 1000))
            await connection.execute(statement)
        finally:
            await connection.close()

    def database(self, template: str = "") -> str:
        """Makes a database, empty or with what a template has, and returns its DATABASE_URL.

        `template` is the DATABASE_URL of a database that nobody is connected to.
        """
        name = f"t{uuid.uuid4().hex}"
        like = f" TEMPLATE {_name(template)}" if template else ""
        loops.run(self._execute(f"CREATE DATABASE {name}{like}", _name(template)))
        return f"postgresql://{_USER}@/{name}?host={self.folder}"

    def drop(self, url: str) -> None:
        """Removes a database that `database` made, whoever is still connected to it."""
        loops.run(self._execute(f"DROP DATABASE {_name(url)} WITH (FORCE)", _name(url)))

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Prints what the server says meanwhile: a failed test shows why it ended a session."""
        before = self._log.stat().st_size
        yield
        with self._log.open("rb") as log:
            log.seek(before)
            sys.stdout.write(log.read().decode(errors="replace"))

    def is_running(self) -> bool:
        """Whether the server has not ended by itself."""
        return self._server is not None and self._server.poll() is None

    def kill(self) -> None:
        """Ends the server as a power cut would."""
        if self._server is None:
            return
        pid = self._server.pid
        self._server.send_signal(signal.SIGSTOP)  # it starts no more children
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        # By themselves they notice that it is gone, and until then they serve.
        for one in (str(pid), *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(one), signal.SIGKILL)
        self._server.wait()
        until(lambda: not any(_is_alive(one) for one in children), "the end of PostgreSQL")

    def close(self) -> None:
        """Stops the server, whoever is still connected to it, and removes its files."""
        if self._server is not None and self.is_running():
            self._server.send_signal(signal.SIGINT)
            self._server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_alive(pid: str) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(") ")[2][0] not in "ZX"


def _name(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]
