"""The processes of a node, and the temporary folder that holds their config, state and log."""

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from http import HTTPStatus
from pathlib import Path
from typing import Final

from headgate.library import admin

_LOOK_S: Final = 0.02
_END_S: Final = 60.0
_LAST_LINES: Final = 20
_PROGRAM: Final = "import sys; from headgate.cli.main import main; sys.exit(main())"


class ProxyError(RuntimeError):
    """The node did not start, ended by itself, or does not answer; with its last log lines."""


class NodeProcess:
    """`headgate run` with a config of its own."""

    def __init__(self, config: bytes, workers: int) -> None:
        """Starts it. Raises `OSError`."""
        self._folder = Path(tempfile.mkdtemp(prefix="headgate-"))
        self.write(config)
        command = [sys.executable, "-c", _PROGRAM, "run", str(self._folder / "headgate.json")]
        command += ["--state-dir", str(self._folder / "s"), "--workers", str(workers)]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    @property
    def log(self) -> str:
        """The text that it has logged."""
        with contextlib.suppress(OSError):
            return (self._folder / "log").read_text(errors="replace")
        return ""

    def write(self, config: bytes) -> None:
        """Writes its config as one step; nobody else may read it."""
        new = self._folder / "headgate.new"
        new.touch(mode=0o600)
        new.write_bytes(config)
        new.replace(self._folder / "headgate.json")

    def until_ready(self, within_s: float) -> None:
        """Returns when it serves. Raises `ProxyError`."""
        until = time.monotonic() + within_s
        while True:
            if self._process.poll() is not None:
                raise self.error(f"the node ended with {self._process.returncode}")
            with contextlib.suppress(OSError):
                if admin.asked(self._folder / "s", "GET", "/ready")[0] == HTTPStatus.OK:
                    return
            if time.monotonic() > until:
                raise self.error(f"the node was not ready in {within_s:g} s")
            time.sleep(_LOOK_S)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Returns status and body of an answer of its admin API. Raises `ProxyError`."""
        try:
            return admin.asked(self._folder / "s", method, path, body)
        except OSError as error:
            raise self.error(f"the node does not answer: {error}") from error

    def end(self) -> None:
        """Drains it, ends it, and removes its folder."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGINT)  # the second one does not wait
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def error(self, what: str) -> ProxyError:
        """Returns an error with what was logged last."""
        return ProxyError("\n".join([what, *self.log.splitlines()[-_LAST_LINES:]]))
