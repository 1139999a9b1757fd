"""Two network namespaces with a cable between them, and clients in one of them; takes root."""

import json
import os
import subprocess
import sys
from types import ModuleType
from typing import Self

import load_client
from peers import peer
from waiting import DEADLINE_S


class Cable:
    """The two namespaces; `addresses` are those of their ends."""

    def __init__(self) -> None:
        self.spaces = (f"hg{os.getpid()}l", f"hg{os.getpid()}r")
        self.addresses = ("10.213.7.1", "10.213.7.2")

    def __enter__(self) -> Self:
        for space in self.spaces:
            _ip("netns", "add", space)
        left, right = self.spaces
        ends = ("netns", left, "type", "veth", "peer", "name", "veth1", "netns", right)
        _ip("link", "add", "veth0", *ends)
        for space, end, address in zip(
            self.spaces, ("veth0", "veth1"), self.addresses, strict=True
        ):
            _ip("-n", space, "address", "add", f"{address}/24", "dev", end)
            _ip("-n", space, "link", "set", end, "up")
            _ip("-n", space, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for space in self.spaces:
            subprocess.run([str(peer("ip")), "netns", "delete", space], check=False)

    def cut(self) -> None:
        """Takes the cable out."""
        _ip("-n", self.spaces[0], "link", "set", "veth0", "down")

    def mend(self) -> None:
        """Puts it in again."""
        _ip("-n", self.spaces[0], "link", "set", "veth0", "up")


def inside(space: str) -> list[str]:
    """The command before another one that runs that in a namespace."""
    return [str(peer("ip")), "netns", "exec", space]


def _ip(*arguments: str) -> None:
    subprocess.run([str(peer("ip")), *arguments], check=True, capture_output=True)


class Load:
    """Clients in a namespace that ask again and again."""

    def __init__(self, space: str, port: int, program: ModuleType = load_client) -> None:
        """Returns once the first answer has come. `program`: the clients."""
        command = [*inside(space), sys.executable, str(program.__file__), str(port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def end(self) -> tuple[int, list[str]]:
        """Ends it; returns how many answers came, and what failed."""
        out, _ = self._process.communicate(timeout=DEADLINE_S)
        answers, failures = json.loads(out)
        return int(answers), [str(one) for one in failures]
