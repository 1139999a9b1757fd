"""An nginx config served by its own nginx, and the same config imported, by a node beside it."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from peers import peer
from running_node import HEADGATE, RunningNode
from waiting import DEADLINE_S


@contextlib.contextmanager
def served(folder: Path, text: str) -> Iterator[None]:
    """The config by its own nginx; its first answer is the test's to wait for."""
    conf = folder / "nginx.conf"
    conf.write_text(text)
    log = folder / "error.log"
    command: list[str | Path] = [peer("nginx"), "-c", conf, "-p", folder, "-e", log]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=DEADLINE_S)


def imported(folder: Path, text: str) -> Path:
    """The import of a config; the folder of the bundle."""
    source = folder / "nginx.conf"
    source.write_text(text)
    bundle = folder / "bundle"
    subprocess.run([HEADGATE, "nginx", "import", source, "--into", bundle], check=True)
    return bundle


def without_kept_text(bundle: Path) -> str:
    """The model alone."""
    text = (bundle / "headgate.toml").read_text()
    return text.replace("[node.nginx]\n", "").replace(f'imported = "{bundle}"\n', "")


@contextlib.contextmanager
def running(folder: Path, text: str, engine: str, *, ready: bool = True) -> Iterator[RunningNode]:
    """A node with this config."""
    node = RunningNode(folder, f'node.admin = "off"\n{text}', "--engine", engine)
    with node.until_ready() if ready else node as one:
        yield one
