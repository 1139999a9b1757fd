"""Ten thousand random requests against random configs on each engine: explain = test = served; and,
for each tenth of them, a TLS handshake of its own with a random name.

    .venv/bin/python tests/drills/explain_agrees.py [CASES] [FIRST_SEED]

Prints one line for each config and every disagreement; exit code 1 if there is one.
"""

import sys
import tempfile
from pathlib import Path, PurePath
from random import Random
from typing import Final

ROOT: Final = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/support")]

import random_names  # noqa: E402
import random_routes  # noqa: E402
from agreement import disagreements  # noqa: E402
from echo_upstream import EchoUpstream  # noqa: E402
from nginx_engine import NginxEngine  # noqa: E402
from ports import free_port  # noqa: E402
from running_node import RunningNode  # noqa: E402
from wire import Wire  # noqa: E402

from headgate.compile.load import load  # noqa: E402
from headgate.compile.routing import Routing  # noqa: E402
from headgate.providers.file.disk import DiskFiles  # noqa: E402

ROUTES: Final = 14
REQUESTS: Final = 500
HANDSHAKES: Final = REQUESTS // 10
NODE: Final = (
    '[node]\nadmin = "off"\ndrain = { delay = "1ms", idle_grace = "1ms", deadline = "1s" }\n'
)


def native(seed: int) -> list[str]:
    """The disagreements of one config on our own data plane."""
    random = Random(seed)  # noqa: S311 - to be had again
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="hg-") as folder, EchoUpstream() as echo:
        text = random_routes.config(random, f"127.0.0.1:{port}", ROUTES, echo.address)
        with RunningNode(Path(folder), NODE + text) as node, Wire(port) as wire:
            node.until_ready()
            return disagreements(node.config, _routing(node.config), wire, random, REQUESTS)


def nginx(seed: int) -> list[str]:
    """The same on nginx."""
    random = Random(seed)  # noqa: S311
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        config = Path(folder) / "headgate.toml"
        config.write_text(random_routes.config(random, f"127.0.0.1:{port}", ROUTES))
        with NginxEngine(config, Path(folder)), Wire(port) as wire:
            return disagreements(config, _routing(config), wire, random, REQUESTS, nginx=True)


def native_names(seed: int) -> list[str]:
    """The disagreements about names of one TLS listener on our own data plane."""
    random, port = Random(seed), free_port()  # noqa: S311
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        folder = Path(name)
        text = random_names.config(random, folder, f"127.0.0.1:{port}")
        with RunningNode(folder, NODE + text) as node:
            node.until_ready()
            routing = _routing(node.config)
            return random_names.disagreements(routing, port, folder, random, HANDSHAKES)


def nginx_names(seed: int) -> list[str]:
    """The same on nginx."""
    random, port = Random(seed), free_port()  # noqa: S311
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        folder = Path(name)
        config = folder / "headgate.toml"
        config.write_text(random_names.config(random, folder, f"127.0.0.1:{port}"))
        with NginxEngine(config, folder):
            return random_names.disagreements(
                _routing(config), port, folder, random, HANDSHAKES, nginx=True
            )


def _routing(path: Path) -> Routing:
    loaded = load([PurePath(path)], DiskFiles(), {})
    if loaded.plan is None:
        raise SystemExit("\n".join(map(str, loaded.diagnostics)))
    return Routing(loaded.plan, blobs=loaded.blobs)


def main() -> int:
    """Runs as many configs as the cases take, on each engine."""
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    wrong = 0
    runs = (
        ("native", native, f"{REQUESTS} requests"),
        ("nginx", nginx, f"{REQUESTS} requests"),
        ("native", native_names, f"{HANDSHAKES} handshakes"),
        ("nginx", nginx_names, f"{HANDSHAKES} handshakes"),
    )
    for name, run, what in runs:
        for seed in range(first, first + -(-cases // REQUESTS)):
            found = run(seed)
            wrong += len(found)
            lines = "".join(f"  {line}\n" for line in found)
            told = f"{name} seed {seed}: {what}, {len(found)} disagreements\n"
            sys.stdout.write(told + lines)
            sys.stdout.flush()
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
