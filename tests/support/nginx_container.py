"""An nginx in a container of its own: its mount namespace and root, our pid and network ones.

The root has nothing of ours but `/usr` and one shared folder; binary and config are at paths that
only exist inside.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec
from peers import unavailable
from ports import free_port
from running_node import get
from waiting import DEADLINE_S, until

from headgate.engines.nginx.instance import Place
from headgate.engines.nginx.instance.procfs import Procfs

AGENT = Path(__file__).with_name("sidecar_agent.py")
ROOT = Path(__file__).resolve().parents[2]
WEB = 33
"""The uid of www-data, whose name both roots know."""

INSIDE = "/opt/nginx/sbin/nginx"
DOCKER_CAPS = (
    "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,"
    "net_raw,sys_chroot,mknod,audit_write,setfcap"
)
"""What a container gets from Docker without asking."""

_ENTER = """
set -e
root=$1; shared=$2; shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount --rbind /usr "$root/usr"
mount --bind "$shared" "$root$shared"
mount -t proc proc "$root/proc"
mount --bind /dev/null "$root/dev/null"
cd "$root"
pivot_root . old
umount -l /old
exec "$@"
"""


def takes_namespaces() -> None:
    """Skips, by name, where namespaces cannot be made."""
    tools = ["unshare", "setpriv", "pivot_root", "mount"]
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    missing = [tool for tool in tools if shutil.which(tool, path=path) is None]
    if missing:
        unavailable(f"{missing[0]} is missing (util-linux)")
    unshare = shutil.which("unshare", path=path) or "/usr/bin/unshare"
    tried = subprocess.run([unshare, "--mount", "true"], capture_output=True, check=False)
    if os.geteuid() != 0 or tried.returncode != 0:
        unavailable("namespaces take root (CAP_SYS_ADMIN)")


def python_for_all() -> tuple[str, str]:
    """An interpreter every user may run, and its PYTHONPATH; skipped by name without one."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    known = (os.path.realpath(sys.executable), f"/usr/bin/python{version}")
    found = next(filter(_runs_for_all, known), None)
    if found is None:
        unavailable("no Python here that other users may run")
    packages = Path(sys.prefix) / "lib" / f"python{version}" / "site-packages"
    return found, f"{ROOT / 'src'}:{packages}"


def _runs_for_all(python: str) -> bool:
    # The shell has lost root's capabilities by the time it looks for the interpreter.
    asked = ["/bin/sh", "-c", f"exec {python} -c ''"]
    command = [shutil.which("setpriv") or "setpriv", *as_user(WEB), "--", *asked]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def container_root(folder: Path, binary: Path, shared: Path) -> Path:
    """Lays out the container's root in a folder: its own binary, users, one file of its own."""
    root = folder / "root"
    for name in ("usr", "proc", "dev", "old", "tmp", "run", "var/lib/nginx", "etc/nginx", "opt"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            (root / name).symlink_to(f"usr/{name}")
    (root / str(shared).lstrip("/")).mkdir(parents=True)
    (root / "dev/null").touch()
    for name in ("passwd", "group", "ld.so.cache", "nsswitch.conf"):
        if Path("/etc", name).exists():
            (root / "etc" / name).write_bytes(Path("/etc", name).read_bytes())
    inside = root / INSIDE.lstrip("/")
    inside.parent.mkdir(parents=True)
    inside.write_bytes(binary.read_bytes() + b"\0")  # another digest than the one outside
    inside.chmod(0o755)
    (root / "etc/nginx/only_inside.conf").write_text("add_header X-Inside yes always;\n")
    return root


def entered(root: Path, shared: Path, *command: str) -> list[str]:
    """What runs a command in a container with this root and this shared folder."""
    enter = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", _ENTER, "sh"]
    return [*enter, str(root), str(shared), *command]


class ContainerNginx:
    """That nginx, running; use as a context manager."""

    def __init__(self, folder: Path, binary: Path, *, uid: int = 0, caps: str = "") -> None:
        """`uid` of its master; `caps` bound what it may do ("" = everything)."""
        self.port = free_port()
        self.shared = folder / "shared"
        for name in ("run", "logs", "conf"):
            (self.shared / name).mkdir(parents=True)
            os.chown(self.shared / name, uid, -1)
        os.chown(self.shared, WEB, -1)
        self.conf = self.shared / "conf" / "nginx.conf"
        self.place = Place(
            conf=str(self.conf),
            pid_path=str(self.shared / "run/nginx.pid"),
            is_sidecar=True,
            redirected=(str(self.shared / "run"), str(self.shared / "logs")),
        )
        self.write("one")
        self.root = container_root(folder, binary, self.shared)
        user = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        wrapped = (
            ["setpriv", *([bounded(caps)] if caps else []), *user, "--"] if uid or caps else []
        )
        own = [INSIDE, "-c", str(self.conf), "-e", str(self.shared / "logs/error.log")]
        self._command = entered(self.root, self.shared, *wrapped, *own)

    def write(self, answer: str, extra: str = "") -> None:
        """Writes the config, which lies in the shared folder."""
        temporary = "".join(
            f"{kind}_temp_path {self.shared}/run/{kind};\n    "
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        self.conf.write_text(f"""
daemon off;
worker_processes 1;
pid {self.shared}/run/nginx.pid;
error_log {self.shared}/logs/error.log notice;
events {{ worker_connections 64; }}
http {{
    {temporary}access_log {self.shared}/logs/access.log;
    include /etc/nginx/only_inside.conf;
    server {{ listen 127.0.0.1:{self.port}; location / {{ return 200 "{answer}"; }} }}
    {extra}
}}
""")

    def body(self) -> str:
        """What it answers."""
        return get(self.port)[1].decode()

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(self._command)
        procfs = Procfs()

        def is_up() -> bool:
            assert self.process.poll() is None, "the container ended"
            seen = procfs.look(self.process.pid)
            if seen is None or not seen.is_master:
                return False
            # A worker that has no title of its own yet may still be root.
            return any(child.is_worker for child in procfs.children(seen.pid))

        until(is_up, "nginx in its container")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def agent(self, *privileges: str, inside: Sequence[str] = ()) -> dict[str, object]:
        """What an agent with these privileges (options of setpriv) sees and may do.

        `inside` is a command that runs another one in the agent's own container.
        """
        return run_agent(self.place, *privileges, inside=inside)


def run_agent(place: Place, *privileges: str, inside: Sequence[str] = ()) -> dict[str, object]:
    """What an agent with these privileges sees of an nginx and may do to it."""
    python, path = python_for_all()
    asked = [python, str(AGENT), msgspec.json.encode(place).decode()]
    limited = ["setpriv", *privileges, "--", *asked] if privileges else asked
    done = subprocess.run(
        [*inside, *limited],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S * 2,
        env={"PATH": os.defpath, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def bounded(caps: str) -> str:
    """The option of setpriv that leaves these capabilities only."""
    return "--bounding-set=-all," + ",".join(f"+{cap}" for cap in caps.split(","))


def as_user(uid: int, caps: str = "") -> tuple[str, ...]:
    """Options of setpriv for a user, with ambient capabilities such as `+kill`."""
    ambient = (f"--inh-caps={caps}", f"--ambient-caps={caps}") if caps else ()
    bounds = () if caps else ("--bounding-set=-all", "--inh-caps=-all")
    return (f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *ambient, *bounds)
