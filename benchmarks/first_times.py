"""Measures a first start: `headgate up` until its fleet has passed on a request, and the
installation of an agent until a master knows the nginx that it has adopted.

Both begin with an empty folder, and nothing is downloaded.
"""

import contextlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from foreign_nginx import ForeignNginx
from installed_agent import adopted, agent, install
from master_operator import Operator, W
from master_process import master
from peers import PLACES
from running_node import get
from stand_in_wheel import write_wheel
from up_fleet import Up
from waiting import until

_NODE = "edge"
_PATIENCE_S = 180.0


def measured() -> dict[str, float]:
    """Returns the seconds of both: `request_s`; `installed_s`, and from the same begin on
    `adopted_s`."""
    binary = _nginx()
    # What the parts say of themselves is for people: the answer goes to stdout.
    with contextlib.redirect_stdout(sys.stderr):
        with tempfile.TemporaryDirectory(prefix="hg-") as name:
            found = {"request_s": _first_request(Path(name))}
        with tempfile.TemporaryDirectory(prefix="hg-") as name:
            found |= _first_adopted(Path(name), binary)
    return {what: round(seconds, 1) for what, seconds in found.items()}


def _nginx() -> Path:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), PLACES])
    found = shutil.which("nginx", path=path)
    if found is None:
        raise SystemExit(
            "scale: nginx is missing; install it with `sudo make system-deps`, or measure without"
            " it by `--part agents`"
        )
    return Path(found)


def _first_request(folder: Path) -> float:
    up = Up(folder)
    began = time.monotonic()
    with up.started():
        status, body = get(up.proxy)
        took = time.monotonic() - began
    if status != 200 or not body.startswith(b"upstream "):
        raise SystemExit(f"scale: the first request got {status} {body!r}")
    return took


def _first_adopted(folder: Path, binary: Path) -> dict[str, float]:
    folder.chmod(0o755)  # the workers of nginx are somebody else
    (folder / "m").mkdir()
    wheel = write_wheel(folder)
    options = ("--listen", "127.0.0.1:0", "--fleet-tls")
    with master(folder / "m", *options) as running, ForeignNginx(folder, binary) as theirs:
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        given = {
            "HEADGATE_MASTER_URL": f"{person.base}?grpc={running.agents_port()}",
            "HEADGATE_AGENT_TOKEN": person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"],
        }
        began = time.monotonic()
        # Named, so that the nginx of this machine is left alone.
        of_it = ("--engine", "nginx", "--node", _NODE, "--nginx-conf", str(theirs.conf))
        done = install(folder, *of_it, str(wheel), env=given)
        if done.returncode != 0:
            raise SystemExit(f"scale: the agent was not installed: {done.stderr}")
        installed_s = time.monotonic() - began
        with agent(folder, _NODE) as state:
            until(lambda: adopted(state) == theirs.master, "the nginx", deadline_s=_PATIENCE_S)
            until(lambda: _knows_nginx(person), "an agent of nginx", deadline_s=_PATIENCE_S)
            return {"installed_s": installed_s, "adopted_s": time.monotonic() - began}


def _knows_nginx(person: Operator) -> bool:
    found = person.agent()
    engines = found.get("facts", {}).get("engines", [])
    return found.get("state") == "connected" and [one["engine"] for one in engines] == ["nginx"]
