"""A real Redis, or Valkey where Debian has it, without a disk, which tests kill and stop."""

import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import redis_talk
from peers import peer
from ports import free_port
from waiting import until


class RedisServer:
    """Runs until the block ends; its keys end with each process."""

    def __init__(self, folder: Path, program: str = "redis-server", *options: str) -> None:
        self.port = free_port()
        """The port without TLS; with `--tls-port` among the options there is another."""
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)]
        self._command = [str(peer(program)), *words, "--save", "", "--appendonly", "no", *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._answers, "the store answers")

    def _answers(self) -> bool:
        try:
            return not self.talk("PING").startswith("-LOADING")
        except OSError:
            return False

    def talk(self, *words: str) -> str:
        """One command; returns the first line of its answer."""
        return redis_talk.talk(self.port, *words)

    def kill(self) -> None:
        """Kills it, as the kernel does when memory is short."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        """Stops it: connections stay, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
