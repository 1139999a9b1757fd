"""Row 37: each of the two planes of a node is upgraded to another wheel and back, under load."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import echoing
from drill_parts import ROOT, Endpoint
from fault_lab import Background, Lab, Seen, SkippedError, kinds
from fault_upgrade import VERSIONS, environment, install, mapped, on_disk, packed
from namespaces import Cable, Load, inside
from running_node import HEADGATE
from two_planes import Plane, Planes, two_planes
from waiting import until

LONGEST_S = 120
CONNECTIONS = 32
CONFIG = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "300s", deadline = "600s" }}

[listeners.web]
address = "127.0.0.1:{port}"
protocol = "http"
default = true

[routes.all]
upstream = "app"
middlewares = [{{ response_headers = {{ set = {{ x-v = "{version}" }} }} }}]

[upstreams.app]
endpoints = ["{endpoint}"]
"""
_ASK = """
import sys, urllib.request
with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/", timeout=45) as answer:
    sys.stdout.write(answer.headers.get("x-v", ""))
"""


class Inside(Endpoint):
    """An upstream in a network namespace."""

    def __init__(self, space: str) -> None:
        self._space = space
        super().__init__()

    def command(self) -> list[str]:
        """What it runs."""
        return [*inside(self._space), *super().command()]

    def is_up(self) -> bool:
        """Whether something listens on its port there."""
        listening = f":{self.port:04X} 00000000:0000 0A "
        return listening in Path(f"/proc/{self.pid}/net/tcp").read_text()


class Installed(Protocol):
    """A headgate that another version can be installed over."""

    program: tuple[str, ...]

    def put(self, version: str) -> None:
        """Installs a version."""

    def runs(self, pid: int) -> bool:
        """Whether a data plane runs the extension that was installed last."""


class FromWheels:
    """An environment of its own, into which pip installs wheels."""

    def __init__(self, home: Path, wheels: Mapping[str, Path]) -> None:
        self._home, self._wheels = environment(home), wheels
        # A path of ours would come before what is installed there.
        program = str(home / "bin" / "headgate")
        self.program: tuple[str, ...] = ("env", "--unset=PYTHONPATH", program)

    def put(self, version: str) -> None:
        """See Installed."""
        install(self._home, self._wheels[version])

    def runs(self, pid: int) -> bool:
        """See Installed."""
        return mapped(pid) == on_disk(self._home)


class InName:
    """This checkout under the names of versions, which takes no installation."""

    def __init__(self, folder: Path) -> None:
        self._current = folder / "current"
        for version in VERSIONS:
            about = folder / version / "headgate-0.dist-info" / "METADATA"
            about.parent.mkdir(parents=True)
            about.write_text(f"Metadata-Version: 2.1\nName: headgate\nVersion: {version}\n")
        paths = [str(self._current), *filter(None, [os.environ.get("PYTHONPATH")])]
        variable = f"PYTHONPATH={os.pathsep.join(paths)}"
        self.program: tuple[str, ...] = ("env", variable, str(HEADGATE))

    def put(self, version: str) -> None:
        """See Installed."""
        fresh = self._current.with_name("next")
        fresh.symlink_to(version)
        fresh.replace(self._current)

    def runs(self, pid: int) -> bool:
        """See Installed."""
        return mapped(pid) != 0


@dataclass
class Stage:
    """Two planes, each with an installation of its own, and what was seen of them."""

    planes: Planes
    cable: Cable
    installed: Mapping[str, Installed]
    endpoint: Endpoint
    configs: int = 0
    answers: float = 0.0
    worst_ms: float = 0.0
    took_s: list[float] = field(default_factory=list)
    lost: list[dict[str, float | str]] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    echoes: list[Load] = field(default_factory=list)

    @property
    def space(self) -> str:
        """Where the data plane and its clients are."""
        return self.cable.spaces[0]

    def write(self) -> None:
        """Gives the control plane one more config."""
        self.configs += 1
        port, endpoint = self.planes.port, self.endpoint.address
        text = CONFIG.format(port=port, endpoint=endpoint, version=self.configs)
        fresh = self.planes.config.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.planes.config)

    def until_served(self) -> None:
        """Waits until both planes are linked and the newest config is served."""
        self.planes.until_linked()
        until(lambda: self._served() == str(self.configs), f"config {self.configs}")
        until(lambda: self.planes.control.ready() and self.planes.data.ready(), "readiness")

    def versions(self) -> tuple[str, ...]:
        """Of the control plane and the data plane, as each says of itself and of the other."""
        control, data = self.planes.control, self.planes.data
        own = (_of(control.status().get("control")), _of(data.status().get("gate")))
        return (*own, _of(data.link().get("peer")), _of(control.link().get("peer")))

    def _served(self) -> str:
        command = [*inside(self.space), sys.executable, "-c", _ASK, str(self.planes.port)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def two_planes_upgraded(lab: Lab, seen: Seen) -> None:
    """Row 37: the control plane first, then the data plane, and both back; at last the data plane
    while the link is cut."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise SkippedError("it needs root and `ip` for its network namespaces")
    old, new = VERSIONS
    built = next((ROOT / "dist").glob(f"headgate-{old}-*.whl"), None)
    seen.check(f"from the {'release wheel in dist/' if built else 'same code'} to this code", True)
    wheels = {old: built or packed(lab.folder, old), new: packed(lab.folder, new)}
    upgraded(lab, seen, *(FromWheels(lab.folder / f"venv-{one}", wheels) for one in "cd"))


def upgraded(lab: Lab, seen: Seen, control: Installed, data: Installed) -> None:
    """The same with any two installations."""
    with ExitStack() as ends:
        cable = ends.enter_context(Cable())
        planes = ends.enter_context(two_planes(lab.folder, cable))
        endpoint = Inside(cable.spaces[0])
        ends.callback(endpoint.kill)
        for plane, its in ((planes.control, control), (planes.data, data)):
            its.put(VERSIONS[0])
            plane.program = its.program
        stage = Stage(planes, cable, {"control": control, "data": data}, endpoint)
        stage.write()
        planes.start()
        _turns(stage, seen, ends)


def _turns(stage: Stage, seen: Seen, ends: ExitStack) -> None:
    old, new = VERSIONS
    for name, version, cut, expected in (
        ("control", new, False, (new, old)),
        ("data", new, False, (new, new)),
        ("control", old, False, (old, new)),
        ("data", old, True, (old, old)),
    ):
        stage.echoes.append(ends.enter_context(Load(stage.space, stage.planes.port, echoing)))
        _turn(stage, name, version, cut=cut)
        _note(stage, f"{name} to {version}", expected)
    seen.check(
        f"{stage.answers:,.0f} answers, failures: {kinds(stage.lost)}, longest wait "
        f"{stage.worst_ms:.0f} ms, upgrades of {', '.join(f'{one:.1f}' for one in stage.took_s)} s",
        not stage.lost and stage.answers > 1000 and max(stage.took_s) < LONGEST_S,
    )
    ended = [one.end() for one in stage.echoes]
    broken = [failure for _, failures in ended for failure in failures]
    seen.check(
        f"{len(ended) * echoing.CONNECTIONS} WebSocket connections lived on, a quarter of them "
        f"through all four upgrades, {sum(count for count, _ in ended):,} echoes, failures: "
        f"{broken or 'none'}",
        not broken and all(count > 10 for count, _ in ended),
    )
    seen.check(
        "control plane and data plane 0.1.0 and 0.1.0 → 0.1.0.post1 and 0.1.0 → 0.1.0.post1 and "
        "0.1.0.post1 → 0.1.0 and 0.1.0.post1 → 0.1.0 and 0.1.0, as each says of itself and of the "
        "other; each data plane with the extension installed last; a config that changed meanwhile "
        f"is served after each; the last hand-over without a link: {stage.strange or 'yes'}",
        not stage.strange,
    )


def _turn(stage: Stage, name: str, version: str, *, cut: bool) -> None:
    """One installation, and the upgrade of that plane under full load."""
    stage.installed[name].put(version)
    load = Background(stage.planes.port, LONGEST_S, CONNECTIONS, inside(stage.space))
    began = time.monotonic()
    if name == "control":
        _restarted(stage)
    elif cut:
        _handed_over_alone(stage)
    else:
        _handed_over(stage)
    stage.until_served()
    stage.took_s.append(time.monotonic() - began)
    load.end()
    whole, failures = load.result()
    stage.answers += whole["answers"]
    stage.worst_ms = max(stage.worst_ms, whole["worst_ms"])
    stage.lost += failures


def _restarted(stage: Stage) -> None:
    """The control plane is a process without traffic: it ends, and the other one starts."""
    control = stage.planes.control
    control.process.terminate()
    control.process.wait(30)
    stage.write()
    control.start()


def _handed_over(stage: Stage) -> None:
    """`headgate upgrade` of the data plane's node, while a config changes."""
    data = stage.planes.data
    before = _processes(data)
    stage.write()
    command = [*data.program, "upgrade", "--state-dir", str(data.state)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        stage.strange.append(f"upgrade: {done.stderr.strip()}")
    until(lambda: _are_others(before, _processes(data)), "the processes of the other version")


def _handed_over_alone(stage: Stage) -> None:
    """The same by a signal, while the link is cut."""
    data, control = stage.planes.data, stage.planes.control
    before = _processes(data)
    stage.cable.cut()
    data.process.send_signal(signal.SIGUSR2)
    until(lambda: _are_others(before, _processes(data)), "the processes of the other version")
    stage.write()
    until(lambda: not control.is_linked() and not data.is_linked(), "the notice of the cut")
    stage.cable.mend()


def _note(stage: Stage, what: str, expected: tuple[str, str]) -> None:
    """Compares what both sides say with what was installed."""
    found = stage.versions()
    if found != (*expected, *expected):
        stage.strange.append(f"{what}: {found}")
    if not stage.installed["data"].runs(stage.planes.data.pid_of("dataplane")):
        stage.strange.append(f"{what}: the data plane has another extension")


def _processes(plane: Plane) -> tuple[int, int]:
    return plane.pid_of("dataplane"), plane.pid_of("gate")


def _are_others(before: Sequence[int], now: Sequence[int]) -> bool:
    return all(pid and pid != earlier for pid, earlier in zip(now, before, strict=True))


def _of(process: object) -> str:
    return str(process["version"]) if isinstance(process, dict) else ""
