"""Network namespaces around one in the middle, each at a cable of its own; takes root."""

import os
import subprocess
from contextlib import suppress
from typing import Self

from namespaces import inside
from peers import peer

CENTRE = "10.213.0.1"
"""The address of the middle, the same for everyone."""


class Star:
    """The namespaces; a cable can be cut in both directions or in one of them."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.middle = f"hg{os.getpid()}m"

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for space in (self.middle, *map(self.space, self.names)):
            subprocess.run(
                [str(peer("ip")), "netns", "delete", space], check=False, capture_output=True
            )

    def space(self, name: str) -> str:
        """The namespace of that name."""
        return f"{self.middle}{self.names.index(name)}"

    def before(self, name: str | None) -> list[str]:
        """The command before another one that runs that in a namespace; None: in the middle."""
        return inside(self.middle if name is None else self.space(name))

    def cut(self, name: str, *, is_one_way: bool = False) -> None:
        """Takes a cable out, or swallows what the middle sends to this end."""
        number = self.names.index(name)
        if is_one_way:
            route = ("add", "blackhole", f"10.213.{number + 1}.2/32")
            ip("-n", self.middle, "route", *route)
        else:
            ip("-n", self.middle, "link", "set", f"c{number}", "down")

    def mend(self, name: str) -> None:
        """Makes the cable whole again."""
        number = self.names.index(name)
        with suppress(subprocess.CalledProcessError):  # it was cut in both directions
            ip("-n", self.middle, "route", "del", "blackhole", f"10.213.{number + 1}.2/32")
        ip("-n", self.middle, "link", "set", f"c{number}", "up")

    def _build(self) -> None:
        ip("netns", "add", self.middle)
        ip("-n", self.middle, "link", "set", "lo", "up")
        ip("-n", self.middle, "address", "add", f"{CENTRE}/32", "dev", "lo")
        for number, name in enumerate(self.names):
            space, ours, theirs = self.space(name), f"c{number}", f"10.213.{number + 1}"
            ip("netns", "add", space)
            cable = ("netns", self.middle, "type", "veth", "peer", "name", "eth", "netns", space)
            ip("link", "add", ours, *cable)
            ip("-n", self.middle, "address", "add", f"{theirs}.1/24", "dev", ours)
            ip("-n", self.middle, "link", "set", ours, "up")
            ip("-n", space, "address", "add", f"{theirs}.2/24", "dev", "eth")
            ip("-n", space, "link", "set", "lo", "up")
            ip("-n", space, "link", "set", "eth", "up")
            ip("-n", space, "route", "add", "default", "via", f"{theirs}.1")


def ip(*arguments: str) -> None:
    """Runs `ip`."""
    subprocess.run([str(peer("ip")), *arguments], check=True, capture_output=True)
