"""`headgate dev fake-master` as a process of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from waiting import DEADLINE_S

HEADGATE = str(Path(sys.executable).with_name("headgate"))
CONFIG = '[upstreams.api]\nendpoints = ["127.0.0.1:9"]\n[routes.api]\nupstream = "api"\n'


@dataclass
class Told:
    """What a fake master said when it was ready."""

    rest: str
    grpc: str
    token: str
    pin: str
    process: "subprocess.Popen[str]"


@contextlib.contextmanager
def fake_master(
    folder: Path, *options: str, ends_by: signal.Signals = signal.SIGTERM
) -> Iterator[Told]:
    """A master of one document, until a signal ends it without an error."""
    config = folder / "config"
    config.mkdir(exist_ok=True)
    (config / "a.toml").write_text(CONFIG)
    command = [HEADGATE, "dev", "fake-master", str(config), "--rest-port=0", "--grpc-port=0"]
    env = {**os.environ, "PYTHONUNBUFFERED": ""}  # it must not wait for more output
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout
        late = threading.Timer(DEADLINE_S, process.kill)
        late.start()
        line = process.stdout.readline()
        late.cancel()
        try:
            yield Told(process=process, **json.loads(line))
        finally:
            process.send_signal(ends_by)
            assert process.wait(DEADLINE_S) == 0
