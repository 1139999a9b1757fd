r"""From nothing installed to the full picture of a running nginx, with nothing on disk changed.

    python tests/drills/nginx_adopt.py --wheel dist/headgate-….whl \
        --report docs/internals/nginx-adopt.md

A stock Debian nginx (the package's own /etc/nginx, checked with `dpkg --verify`) gets a TLS site
and a proxied one, in mount, network and pid namespaces of its own, and serves traffic. Then the
clock starts: `python -m venv`, `pip install` of the wheel, `headgate nginx adopt`; it stops when
the picture is there. Every file of /etc/nginx, /var/log/nginx, /var/lib/nginx, /run and the web
root is compared before and after by content, mode, owner, inode, mtime and ctime; log files may
have grown by lines of the traffic's own. Needs root. Prints Markdown; the exit code is 1 when
something is missing in the picture, something changed, or it took 60 s.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from drill_parts import HERE
from nginx_lab import AGENT, FOLDERS, MISSING, renew, write_sites
from waiting import until

LIMIT_S = 60.0
MEASURED_S = 5.0
_TRAFFIC = (AGENT.encode(), f"GET {MISSING} ".encode())
"""What tells the traffic's lines in an access log and in the error log."""


@dataclass(frozen=True)
class Print:
    """A file's fingerprint."""

    kind: int
    mode: int
    owner: tuple[int, int]
    inode: int
    mtime_ns: int
    ctime_ns: int
    content: bytes


@dataclass
class Report:
    """What was found, as rows, what is wrong, and the picture as text."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    shown: str = ""

    def check(self, what: str, *, holds: bool, shown: str) -> None:
        """A row that must hold."""
        self.rows.append((what, shown))
        if not holds:
            self.wrong.append(f"{what}: {shown}")


def main() -> int:
    """Runs the drill."""
    options = _options()
    if os.geteuid() != 0:
        sys.stderr.write("nginx_adopt: root is needed for the namespaces\n")
        return 1
    verified = subprocess.run(
        ["/usr/bin/dpkg", "--verify", "nginx-common", "nginx"],
        capture_output=True,
        text=True,
        check=True,
    )
    report = Report()
    report.check(
        "files of the package differ from Debian's",
        holds=not verified.stdout.strip(),
        shown=verified.stdout.strip() or "none",
    )
    with tempfile.TemporaryDirectory(prefix="hg-adopt-") as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        _run(scratch, options.wheel, report)
    text = _markdown(report)
    sys.stdout.write(text)
    if options.report is not None:
        options.report.write_text(text)
    return 1 if report.wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--report", type=Path)
    return parser.parse_args()


def _run(scratch: Path, wheel: Path, report: Report) -> None:
    write_sites(scratch)
    command = ["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    inside = [sys.executable, str(HERE / "nginx_lab.py"), str(scratch)]
    with subprocess.Popen(["/usr/bin/unshare", *command, *inside]) as lab:
        try:
            until((scratch / "ready").exists, "the lab")
            children = Path(f"/proc/{lab.pid}/task/{lab.pid}/children").read_text().split()
            _adopted(scratch, wheel, int(children[0]), report)
        finally:
            (scratch / "stop").touch()
            try:
                lab.wait(20)
            except subprocess.TimeoutExpired:
                lab.send_signal(signal.SIGKILL)


def _adopted(scratch: Path, wheel: Path, pid: int, report: Report) -> None:
    root = Path(f"/proc/{pid}/root")
    renew(scratch)
    before = prints(root)
    begin = time.monotonic()
    environment = scratch / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip: list[str | Path] = [
        environment / "bin/python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-cache-dir",
    ]
    subprocess.run([*pip, "--disable-pip-version-check", wheel], check=True)
    installed = time.monotonic()
    asked = int((scratch / "requests").read_text() or 0)
    enter: list[str | Path] = ["/usr/bin/nsenter", "-t", str(pid), "--mount", "--net", "--pid"]
    adopt: list[str | Path] = [environment / "bin/headgate", "nginx", "adopt", "--output", "json"]
    done = subprocess.run(
        [*enter, *adopt, "--seconds", str(MEASURED_S)], capture_output=True, text=True, check=False
    )
    end = time.monotonic()
    after = prints(root)
    served = int((scratch / "requests").read_text() or 0) - asked
    report.check("adopt's exit code", holds=done.returncode == 0, shown=str(done.returncode))
    report.check(
        "from nothing installed to the picture",
        holds=end - begin < LIMIT_S,
        shown=f"{end - begin:.1f} s (limit {LIMIT_S:.0f} s)",
    )
    report.rows.append(("of it venv and pip install", f"{installed - begin:.1f} s"))
    report.rows.append(("of it adopt", f"{end - installed:.1f} s, {MEASURED_S:.0f} s measured"))
    if done.returncode:
        report.wrong.append(done.stderr[-2000:])
        return
    _compare(before, after, report)
    (one,) = json.loads(done.stdout)
    _picture(one, served / (end - installed), report)
    text = subprocess.run(
        [*enter, environment / "bin/headgate", "nginx", "adopt", "--seconds", "1"],
        capture_output=True,
        text=True,
        check=True,
    )
    report.shown = text.stdout


def _picture(one: "dict[str, object]", rate: float, report: Report) -> None:
    """Whether everything that there is is in the picture."""
    shown = json.dumps(one)
    picture, live = one["picture"], one["live"]
    assert isinstance(picture, dict)
    assert isinstance(live, dict)
    names = {name for host in picture["hosts"] for name in host["names"]}
    defaults = sum(not host["names"] for host in picture["hosts"])
    report.check(
        "hosts",
        holds={"shop.test", "secure.test"} <= names and defaults > 0,
        shown=f"{' '.join(sorted(names))}, and {defaults} without a name",
    )
    targets = {route["target"] for route in picture["routes"]}
    report.check(
        "routes",
        holds="http://shop_backends" in targets,
        shown=f"{len(picture['routes'])}, of them to {', '.join(sorted(targets))}",
    )
    ends = [end for upstream in picture["upstreams"] for end in upstream["endpoints"]]
    report.check("endpoints of upstreams", holds=len(ends) >= 2, shown=", ".join(ends))
    certificates = one["certificates"]
    assert isinstance(certificates, list)
    days = [each["days_left"] for each in certificates]
    report.check("certificates, days left", holds=days == [90.0], shown=str(days))
    codes = [str(each["code"]) for each in _list(one, "certificate_findings")]
    report.check("renewed on disk, not loaded", holds="not_loaded" in codes, shown=", ".join(codes))
    found = sorted({f"{each['level']} {each['id']}" for each in picture["findings"]})
    report.check(
        "lint findings", holds=any("alias" in each for each in found), shown=", ".join(found)
    )
    measured = live["requests"]
    report.check(
        "requests/s, shown and sent",
        holds=bool(measured) and abs(measured - rate) < rate * 0.3,
        shown=f"{measured:.0f} and {rate:.0f}, by {live['source']}",
    )
    report.check("statuses", holds={"200", "404"} <= set(live["status"]), shown=str(live["status"]))
    report.check(
        "connections open", holds="open_connections" in live, shown=str(live["open_connections"])
    )
    report.check(
        "stub_status", holds=live["connections"] is not None, shown=str(live["connections"])
    )
    workers = [each for each in _list(one, "processes") if each["role"] == "worker"]
    report.check("workers", holds=len(workers) > 0, shown=str(len(workers)))
    report.check("key material in the answer", holds="PRIVATE KEY" not in shown, shown="none")


def _list(one: "dict[str, object]", key: str) -> "list[dict[str, object]]":
    found = one[key]
    assert isinstance(found, list)
    return found


def prints(root: Path) -> dict[str, Print]:
    """Fingerprints of everything that could have changed, by path in the lab."""
    return {
        str(path.relative_to(root)): _print(path)
        for folder in FOLDERS
        for path in _below(root / folder.lstrip("/"))
    }


def _below(folder: Path) -> Iterator[Path]:
    yield folder
    yield from sorted(folder.rglob("*"))


def _print(path: Path) -> Print:
    found = path.lstat()
    is_file = path.is_file() and not path.is_symlink()
    content = path.read_bytes() if is_file else b""
    if path.is_symlink():
        content = os.fsencode(path.readlink())
    owner = (found.st_uid, found.st_gid)
    kind, mode = found.st_mode >> 12, found.st_mode & 0o7777
    return Print(kind, mode, owner, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, content)


def _compare(before: dict[str, Print], after: dict[str, Print], report: Report) -> None:
    changed: list[str] = []
    grown: list[str] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        if old is not None and new is not None and _only_grew(path, old, new):
            lines = new.content[len(old.content) :].splitlines()
            strange = [line for line in lines if not any(mark in line for mark in _TRAFFIC)]
            grown.append(f"{path}: {len(lines)} lines, {len(strange)} not of the traffic")
            changed += [f"{path}: {line!r}" for line in strange[:5]]
            continue
        changed.append(path)
    report.check("files compared", holds=len(before) > 40, shown=str(len(before)))
    report.check("files changed", holds=not changed, shown="; ".join(changed) or "none")
    report.rows.append(("logs that traffic went on writing", "; ".join(grown)))


def _only_grew(path: str, old: Print, new: Print) -> bool:
    same = (old.kind, old.mode, old.owner, old.inode) == (new.kind, new.mode, new.owner, new.inode)
    return same and "var/log/nginx/" in path and new.content.startswith(old.content)


def _markdown(report: Report) -> str:
    today = time.strftime("%Y-%m-%d")
    lines = [
        "# `headgate nginx adopt` on a stock nginx",
        "",
        f"`python tests/drills/nginx_adopt.py` ran on {today} on a stock Debian nginx that serves",
        "traffic. It began without headgate and ended with the whole picture.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {what} | {shown} |" for what, shown in report.rows),
        "",
        f"{'FAIL' if report.wrong else 'PASS'}: {len(report.wrong)} violations",
        *(f"- {wrong}" for wrong in report.wrong),
        "",
        "## What it shows",
        "",
        "```text",
        *(line.rstrip() for line in report.shown.splitlines()),
        "```",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    shutil.which("nginx", path="/usr/sbin:/usr/bin") or sys.exit("nginx is not installed")
    sys.exit(main())
