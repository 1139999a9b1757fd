"""Row 36: another headgate is installed over the one that runs, and takes over under load."""

import base64
import hashlib
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path

from drill_parts import ROOT, OtherNode, control_pid
from fault_lab import Lab, Seen, kinds
from running_node import RunningNode
from waiting import until

import headgate

VERSIONS = ("0.1.0", "0.1.0.post1")
LOAD_S = 15


def upgrades(lab: Lab, seen: Seen) -> None:
    """Row 36: to the other wheel, back, and to it again; with one and with two workers."""
    other = packed(lab.folder, VERSIONS[1])
    built = next((ROOT / "dist").glob(f"headgate-{VERSIONS[0]}-*.whl"), None)
    first = built or packed(lab.folder, VERSIONS[0])
    seen.check(f"from the {'release wheel in dist/' if built else 'same code'} to this code", True)
    upstream = lab.endpoint()
    for workers in (1, 2):
        folder = lab.folder / str(workers)
        folder.mkdir()
        home = environment(folder / "venv")
        install(home, first)
        program = (str(home / "bin" / "headgate"),)
        options = ("--no-watch", "--workers", str(workers))
        text = lab.config(upstream.address)
        with OtherNode(program, folder, text, *options).until_ready() as node:
            _turns(lab, seen, node, (home, first, other))


def _turns(lab: Lab, seen: Seen, node: RunningNode, at: tuple[Path, Path, Path]) -> None:
    """Three installations, each followed by `headgate upgrade` under full load."""
    home, first, other = at
    versions = [_version(node)]
    strange: list[str] = []
    answers, worst, lost = 0.0, 0.0, []
    for turn, wheel in enumerate((other, first, other)):
        control = control_pid(node)
        install(home, wheel)
        load = lab.storm(LOAD_S)
        began = time.monotonic()
        done = node.command("upgrade")
        until(lambda pid=control: control_pid(node) not in {0, pid}, "a new control process")  # type: ignore[misc]
        if done.returncode != 0 or time.monotonic() - began > LOAD_S:
            strange.append(f"upgrade {turn + 1}: {done.stderr.strip() or 'longer than the load'}")
        versions.append(_version(node))
        if mapped(node.data_plane()[1]) != on_disk(home):
            strange.append(f"upgrade {turn + 1}: the data plane has another extension")
        whole, failures = load.result()
        answers, worst = answers + whole["answers"], max(worst, whole["worst_ms"])
        lost += failures
    workers, generation = int(node.metric("headgate_workers")), node.data_plane()[0]
    seen.check(
        f"{workers} worker(s): {answers:,.0f} answers, failures: {kinds(lost)}, longest wait "
        f"{worst:.0f} ms",
        not lost and answers > 1000,
    )
    seen.check(
        f"versions {' → '.join(versions)}, generation {generation}, each data plane with the "
        f"extension installed last: {strange or 'yes'}",
        versions == [*VERSIONS, *VERSIONS] and generation == 4 and not strange,
    )


def _version(node: RunningNode) -> str:
    """Of the control process."""
    control = node.status()["control"]
    return str(control["version"]) if isinstance(control, dict) else ""


def mapped(pid: int) -> int:
    """The inode of the extension that a data plane runs."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if "/_core." in line:
            return int(line.split()[4])
    return 0


def on_disk(home: Path) -> int:
    """The inode of the extension that an environment has."""
    return next(home.glob("lib/python*/site-packages/headgate/_core/_core.*.so")).stat().st_ino


def environment(home: Path) -> Path:
    """A virtual environment that finds our dependencies, not our package, where this one does."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    site = next(home.glob("lib/python*/site-packages"))
    # A path that is added this way is not searched for such files itself.
    (site / "dependencies.pth").write_text(
        "".join(f"{one}\n" for one in dict.fromkeys(_dependencies()))
    )
    return home


def _dependencies() -> list[str]:
    own = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return [one for one in [*own, *sys.path] if one.endswith("site-packages")]


def install(home: Path, wheel: Path) -> None:
    """What `pip install --upgrade` does."""
    pip = (sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "--quiet")
    options = ("--disable-pip-version-check", "--no-index", "--no-deps", "--force-reinstall")
    subprocess.run([*pip, "install", *options, str(wheel)], check=True, capture_output=True)


def packed(folder: Path, version: str) -> Path:
    """A wheel of the package as it is here, extension and all, under a version."""
    package = Path(headgate.__file__).parent
    info = f"headgate-{version}.dist-info"
    content = {
        f"headgate/{one.relative_to(package)}": one.read_bytes()
        for one in sorted(package.rglob("*"))
        if one.is_file() and "__pycache__" not in one.parts
    }
    about = f"Metadata-Version: 2.1\nName: headgate\nVersion: {version}\n"
    content[f"{info}/METADATA"] = about.encode()
    tag = "cp311-abi3-linux_" + sysconfig.get_platform().removeprefix("linux-").replace("-", "_")
    content[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    content[f"{info}/entry_points.txt"] = b"[console_scripts]\nheadgate = headgate.cli.main:main\n"
    lines = "".join(f"{name},{_digest(data)},{len(data)}\n" for name, data in content.items())
    content[f"{info}/RECORD"] = f"{lines}{info}/RECORD,,\n".encode()
    wheel = folder / f"headgate-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return wheel


def _digest(data: bytes) -> str:
    raw = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return f"sha256={raw.decode().rstrip('=')}"
