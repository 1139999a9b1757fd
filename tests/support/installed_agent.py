"""An agent that `deploy/install.sh` installs below a folder, started as systemd would."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stand_in_wheel import ROOT

from headgate.cli import calls

SCRIPT = ROOT / "deploy" / "install.sh"
SECRET = "s3cret-of-a-join-token"  # noqa: S105 - of tests
GIVEN = {"HEADGATE_MASTER_URL": "https://master.example", "HEADGATE_AGENT_TOKEN": SECRET}


def install(
    folder: Path, *arguments: str, env: Mapping[str, str] = GIVEN
) -> "subprocess.CompletedProcess[str]":
    """Installs below `folder/r`."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("HEADGATE_")}
    command = ["/bin/sh", str(SCRIPT), "--root", str(folder / "r"), "--python", sys.executable]
    return subprocess.run(
        [*command, *arguments],
        env={**ours, **env, "PIP_NO_INDEX": "1", "UV_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def of_the_unit(folder: Path, key: str, node: str) -> str:
    """A setting of the installed unit, with what systemd puts in its place."""
    unit = "headgate-agent@.service" if node else "headgate-agent.service"
    text = (folder / "r/etc/systemd/system" / unit).read_text()
    found = re.search(rf"(?m)^{key}=(.*)$", text)
    assert found is not None
    return found[1].replace("%i", node)


@contextmanager
def agent(folder: Path, node: str = "") -> Iterator[Path]:
    """What systemd would start, with the unit's file of variables; gives the state directory."""
    words = shlex.split(of_the_unit(folder, "ExecStart", node))
    command = [f"{folder}/r{word}" if word.startswith("/") else word for word in words]
    kept = Path(f"{folder}/r{of_the_unit(folder, 'EnvironmentFile', node)}").read_text()
    states = folder / "s"
    states.mkdir(exist_ok=True)
    env = {**os.environ, **dict(line.split("=", 1) for line in kept.splitlines())}
    log_path = folder / f"agent{node}.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, env={**env, "STATE_DIRECTORY": str(states)}, stdout=log, stderr=log
        )
    try:
        yield states / (node or "default")
    finally:
        process.terminate()
        process.send_signal(signal.SIGINT)
        process.wait(45)
        sys.stdout.write(log_path.read_text())  # shown when the test fails


def is_adopted(state: Path, pid: int) -> bool:
    """Whether a node watches the nginx with this process."""
    return adopted(state) == pid


def adopted(state: Path) -> int:
    """The pid of the nginx that a node watches; 0 while there is none."""
    try:
        status = json.loads(calls.call(state, "GET", "/status").body)
    except calls.NoNodeError:
        return 0
    return int(status["engine"]["pid"] or 0)
