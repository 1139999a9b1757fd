"""The timeline: one line for everything that happens, with what each node serves at that moment."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final

_WIDTH: Final = 10


class Timeline:
    """Prints lines; `serving` is the last that is known of each node."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._nodes = nodes
        self._began = time.monotonic()
        self.serving: dict[str, int | None] = dict.fromkeys(nodes)
        self.revision = ""
        self.wave = ""
        columns = "".join(f"{node:<{_WIDTH}}" for node in nodes)
        _write(f"{'time':>8}  {'revision':<9} {'wave':<5} {columns}what happens\n")

    def tell(self, text: str) -> None:
        """Prints one line."""
        passed = f"{time.monotonic() - self._began:.1f} s"
        served = "".join(f"{self.serving[node] or '-':<{_WIDTH}}" for node in self._nodes)
        _write(f"{passed:>8}  {self.revision:<9} {self.wave:<5} {served}{text}\n")

    def see(self, serving: Mapping[str, int | None]) -> None:
        """Prints a line if a node serves another revision than before."""
        changed = [node for node in self._nodes if serving.get(node) != self.serving[node]]
        if not changed:
            return
        for node in changed:
            self.serving[node] = serving.get(node)
        self.tell("; ".join(f"{node} serves revision {serving.get(node)}" for node in changed))


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
