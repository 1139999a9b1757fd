"""Applies to an nginx in a process that kills itself at a step; started by `nginx_kill.py`.

Reads one JSON line per run from standard input: the folder, what is applied, and at which point of
which step to die (`""`: never). Forks for each run, so that what dies is a process of its own, and
answers with a line: how it ended.
"""

import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from real_nginx import RealNginx

from headgate.engines.nginx.common.types import Generation, Rendered, ServedName

ZONE = (
    "limit_req_zone {key} zone=z:1m rate=9r/s;\n"
    "server {{ listen unix:{root}/run/z.sock; location / {{ limit_req zone=z; }} }}"
)


def rendered(nginx: RealNginx, generation: Generation, kind: str, helper: str) -> Rendered:
    """A release by its kind: `good`, `rejected` (a zone clash) or `partial` (a wrong certificate).

    `helper` is a listener that the drill keeps open, or closes so that nothing verifies.
    """
    names: tuple[ServedName, ...] = ()
    if kind == "partial":
        names = (ServedName(f"127.0.0.1:{nginx.port}", "x.example", ("00" * 32,)),)
    key = "$host" if kind == "rejected" else "$uri"
    http = ZONE.format(key=key, root=nginx.root)
    return nginx.rendered(generation, http=http, names=names, listeners=(helper,))


def run(order: "dict[str, str]") -> str:
    """One apply, or the recovery of one; dies at its point."""

    def on_step(point: str) -> None:
        if point == order["point"]:
            os.kill(os.getpid(), signal.SIGKILL)

    nginx = RealNginx(Path(order["root"]), blind=True, soak_s=0.1, on_step=on_step)
    nginx.port = int(order["port"])
    if order["kind"] == "recover":
        return type(nginx.applier.recover()).__name__
    result = nginx.applier.apply(
        lambda generation: rendered(nginx, generation, order["kind"], order["helper"])
    )
    return type(result).__name__


def main() -> None:
    """Until standard input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                sys.stdout.write(run(order) + "\n")
                sys.stdout.flush()
            except BaseException as error:
                sys.stdout.write(f"raised {error!r}\n")
                sys.stdout.flush()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            sys.stdout.write(f"killed by {os.WTERMSIG(status)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
