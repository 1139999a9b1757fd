"""Rows 10, 21, 22 and 24: slow clients, a full disk, no descriptors, a clock that jumps."""

import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from fault_lab import Answer, Lab, Seen, SkippedError, ask, get, kinds, p99_ms, read_head, total
from running_node import RunningNode
from waiting import until

_FAKETIME = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
)
_DAY_S = 86_400


def slow_clients(lab: Lab, seen: Seen) -> None:
    """Row 10: slowhttptest's slow heads, slow bodies, range attack; others beside them."""
    tool = shutil.which("slowhttptest")
    if tool is None:
        raise SkippedError("slowhttptest is missing: sudo make system-deps")
    upstream = lab.endpoint()
    listener = 'timeouts = { head = "2s", idle = "3s" }'
    more = 'timeouts = { stream_idle = "2s" }\n'
    with lab.node(lab.config(upstream.address, listener=listener, more=more)).until_ready() as node:
        quiet = p99_ms([get(lab.port) for _ in range(200)])
        for option, name in (("-H", "slow heads"), ("-B", "slow bodies"), ("-R", "ranges")):
            command = [tool, option, "-c", "400", "-r", "200", "-i", "3", "-l", "8", "-p", "2"]
            attack = subprocess.Popen(
                [*command, "-u", f"http://127.0.0.1:{lab.port}/"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            answers: list[Answer] = []
            most = 0.0
            while attack.poll() is None:
                answers += [get(lab.port) for _ in range(20)]
                most = max(most, total(node, "proxy_active_connections"))
                time.sleep(0.1)
            good = sum(one.status == 200 for one in answers)
            during = p99_ms(answers)
            seen.check(
                f"{name}: up to {most:.0f} connections, {good} of {len(answers)} others answered, "
                f"p99 {quiet:.1f} → {during:.1f} ms",
                good == len(answers) and during < quiet * 3 + 50,
            )
            until(lambda: total(node, "proxy_active_connections") == 0, "the slow ones to be gone")
        cut = total(node, "headgate_timeouts_total")
        seen.check(f"cut off by timeouts: {cut:.0f}", cut > 0)


@contextlib.contextmanager
def _small_disk(path: Path) -> Iterator[Path]:
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None or os.geteuid() != 0:
        raise SkippedError("mounting a tmpfs needs root")
    path.mkdir()
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], capture_output=True, check=False
    )
    if done.returncode:
        raise SkippedError(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run([umount, "-l", path], check=False)


def disk_full(lab: Lab, seen: Seen) -> None:
    """Row 21: access log and state directory on a full disk of 1 MiB."""
    upstream = lab.endpoint()
    with _small_disk(lab.folder / "disk") as disk:
        log = f'access_log = {{ sink = {{ path = "{disk}/access.log" }} }}\n'
        text = lab.config(upstream.address, node=log)
        with _node_on(lab, text, disk).until_ready() as node:
            plans = _files(disk / "s" / "plan")
            filler = disk / "filler"
            with contextlib.suppress(OSError), filler.open("wb") as file:
                while True:
                    file.write(b"x" * 4096)
                    file.flush()
            load = lab.storm(4)
            whole, failures = load.result()
            seen.check(
                f"{whole['answers']:,} answers on a full disk, failures: {kinds(failures)}",
                not failures and whole["answers"] > 1000,
            )
            lost = total(node, "headgate_access_log_dropped_total")
            errors = total(node, "headgate_access_log_errors_total")
            seen.check(f"log: {lost:.0f} lines dropped, {errors:.0f} errors counted", lost > 0)
            # More than what is left of the last page of a file.
            routes = (
                f'[routes.r{i}]\nhosts = "h{i}.example"\nupstream = "app"\n' for i in range(300)
            )
            node.config.write_text(text + "".join(routes))
            status, body = node.admin("POST", "/reload")
            found = json.loads(body).get("diagnostics") or [{}]
            said = str(found[0].get("message", ""))
            seen.check(f"a new config: {status} {said}", status != 200 and "space" in said)
            seen.check("the plan on disk is as before", _files(disk / "s" / "plan") == plans)
            filler.unlink()
            (disk / "access.log").write_text("")
            status = node.admin("POST", "/reload")[0]
            seen.check(f"with room again: {status}, {get(lab.port).status}", status == 200)


def _node_on(lab: Lab, text: str, disk: Path) -> RunningNode:
    """A node whose state directory is on the small disk; its config is not."""
    (lab.folder / "s").symlink_to(disk / "s")
    (disk / "s").mkdir(mode=0o700)
    return lab.node(text)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(one): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


def no_descriptors(lab: Lab, seen: Seen) -> None:
    """Row 22: 256 descriptors for the data plane, 400 clients."""
    upstream = lab.endpoint()
    with lab.node(lab.config(upstream.address)).until_ready() as node:
        pid = node.data_plane()[1]
        kept = socket.create_connection(("127.0.0.1", lab.port), 5)
        seen.check("one connection before", ask(kept))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (256, 256))
        crowd = [socket.socket() for _ in range(400)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", lab.port))
        time.sleep(1)
        before, began = _cpu_s(pid), time.monotonic()
        time.sleep(2)
        share = (_cpu_s(pid) - before) / (time.monotonic() - began)
        seen.check(f"CPU while it cannot accept: {share * 100:.0f} %", share < 0.2)
        seen.check("a connection that was open is served", ask(kept))
        for one in crowd:
            one.close()
        until(lambda: get(lab.port).status == 200, "new connections to be served")
        began = time.monotonic()
        answers = [get(lab.port).status for _ in range(50)]
        seen.check(
            f"afterwards {answers.count(200)} of 50 answered", answers.count(200) == len(answers)
        )
        refused = total(node, "headgate_connections_refused_total")
        descriptors = total(node, "headgate_dataplane_max_fds")
        seen.check(f"shown: limit {descriptors:.0f}, refused {refused:.0f}", descriptors == 256)
        seen.check(f"the data plane lives: pid {pid}", node.data_plane()[1] == pid)
        kept.close()


def _cpu_s(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | 2)


def clock_jump(lab: Lab, seen: Seen) -> None:
    """Row 24: the wall clock of the whole node jumps under load; the monotonic clock does not."""
    library = next((one for one in _FAKETIME if Path(one).exists()), None)
    if library is None:
        raise SkippedError("libfaketime is missing: sudo make system-deps")

    def silent(connection: socket.socket) -> None:
        read_head(connection)
        connection.recv(1)

    upstream, mute = lab.endpoint(), lab.script(silent)
    more = f"""
[routes.mute]
hosts = ["mute.example"]
upstream = "mute"
timeouts = {{ first_byte = "1s" }}
[upstreams.mute]
endpoints = ["{mute.address}"]
"""
    with tempfile.NamedTemporaryFile("w", prefix="hg-clock-", delete=False) as file:
        clock = Path(file.name)
    clock.write_text("+0\n")
    env = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    text = lab.config(upstream.address, more=more)
    try:
        with lab.node(text, "--no-watch", "--workers", "1", **env).until_ready() as node:
            load = lab.storm(9)
            for jump in (f"+{_DAY_S}s", f"-{_DAY_S}s", "+0"):
                clock.write_text(jump + "\n")
                answer = get(lab.port, "mute.example")
                seen.check(
                    f"{jump}: a timeout of 1 s took {answer.took:.2f} s, {answer.status}",
                    answer.status == 504 and 0.9 < answer.took < 1.6,
                )
                time.sleep(1)
            whole, failures = load.result()
            seen.check(f"{whole['answers']:,} answers, failures: {kinds(failures)}", not failures)
            alive = node.metric("headgate_dataplane_restarts_total")
            seen.check(f"data planes lost: {alive:.0f}", alive == 0)
    finally:
        clock.unlink()
