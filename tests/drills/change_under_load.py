"""Changes everything about a node while it serves at full load, and counts what clients lost.

    python tests/drills/change_under_load.py --seconds 60 --workers 1

Needs wrk and nginx (the upstreams). In the time given: the config is reloaded ten times a second,
one of two endpoints is killed and revived, the control process is killed, the data plane is
upgraded twice. Prints a Markdown table. The exit code is 1 when a client saw a socket error, or
more failed answers than connections (those in flight on the killed endpoint).
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from running_node import RunningNode, free_port
from waiting import until

from headgate.cli import calls

PEERS = ("nginx", "wrk")
NGINX = """
daemon off; master_process off; pid {folder}/{port}.pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000;
  server {{ listen 127.0.0.1:{port} reuseport; location / {{ return 200 "hello, world\\n"; }} }}
}}
"""
CONFIG = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "1s", deadline = "10s" }}

[listeners.web]
address = "127.0.0.1:{port}"
protocol = "http"
default = true

[routes.all]
hosts = ["*"]
upstream = "app"

[routes.turn]
hosts = ["turn.example"]
respond = {{ status = 200, body = "{turn}" }}

[upstreams.app]
endpoints = [{endpoints}]
"""


class Drill:
    """The pieces of one run."""

    def __init__(self, folder: Path, seconds: int, workers: int) -> None:
        self.folder = folder
        self.seconds = seconds
        self.connections = 64
        self.workers = workers
        self.port = free_port()
        self.upstreams = [free_port(), free_port()]
        self.turns = 0
        self.reloads: Counter[int] = Counter()
        self.said: list[str] = []
        self.nginx, self.wrk = (shutil.which(name) or f"/usr/sbin/{name}" for name in PEERS)

    def config(self) -> str:
        """The config of this turn; each differs from the one before."""
        endpoints = ", ".join(f'"127.0.0.1:{port}"' for port in self.upstreams)
        return CONFIG.format(port=self.port, turn=self.turns, endpoints=endpoints)

    def upstream(self, port: int) -> "subprocess.Popen[bytes]":
        """An nginx that answers 13 bytes, as one process."""
        config = self.folder / f"{port}.conf"
        config.write_text(NGINX.format(folder=self.folder, port=port))
        command = [self.nginx, "-c", str(config), "-p", str(self.folder)]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def reload(self, node: RunningNode, stop: threading.Event) -> None:
        """Changes and reloads the config ten times a second until told to stop."""
        while not stop.wait(0.1):
            self.turns += 1
            fresh = node.config.with_suffix(".new")
            fresh.write_text(self.config())
            fresh.replace(node.config)
            try:
                status, body = node.admin("POST", "/reload")
                self.reloads[status] += 1
                if status >= 300:
                    sys.stderr.write(f"reload: {status} {body.decode()}\n")
            except calls.NoNodeError:
                self.reloads[0] += 1

    def disturb(self, node: RunningNode) -> None:
        """Everything else, spread over the time."""
        part = self.seconds / 8
        killed = self.upstream(self.upstreams[1])
        time.sleep(part)
        killed.kill()
        killed.wait()
        time.sleep(part)
        killed = self.upstream(self.upstreams[1])
        time.sleep(part)
        os.kill(int(re.findall(r'"pid":(\d+)', str(node.admin("GET", "/status")[1]))[0]), 9)
        time.sleep(part)
        for _ in range(2):
            done = node.command("upgrade")
            self.said.append(done.stdout.strip() + done.stderr.strip())
            time.sleep(part)
        self.finish = killed

    def run(self) -> int:
        """Runs the drill; the exit code."""
        steady = self.upstream(self.upstreams[0])
        arguments = ["--no-watch", "--workers", str(self.workers)]
        with RunningNode(self.folder, self.config(), *arguments).until_ready() as node:
            load = [self.wrk, "-t1", f"-c{self.connections}", f"-d{self.seconds}s", "--latency"]
            client = subprocess.Popen(
                [*load, f"http://127.0.0.1:{self.port}/"], stdout=subprocess.PIPE, text=True
            )
            stop = threading.Event()
            changing = threading.Thread(target=self.reload, args=(node, stop))
            changing.start()
            self.disturb(node)
            output = client.communicate()[0]
            stop.set()
            changing.join()
            until(lambda: node.metric("headgate_control_restarts_total") >= 0, "the metrics")
            restarts = node.metric("headgate_control_restarts_total")
            code = self.report(output, restarts)
            node.process.send_signal(signal.SIGTERM)
            node.process.wait(30)
        for one in (steady, self.finish):
            one.kill()
            one.wait()
        return code

    def report(self, output: str, restarts: float) -> int:
        """Prints the table; the exit code."""
        errors = re.search(r"Socket errors: (.*)", output)
        failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
        rows = {
            "workers": self.workers,
            "requests": re.findall(r"(\d+) requests in", output)[0],
            "requests/s": re.findall(r"Requests/sec: *(\S+)", output)[0],
            "p99": re.findall(r"99% *(\S+)", output)[0],
            "socket errors": errors[1] if errors else "none",
            "failed answers": int(failed[1]) if failed else 0,
            "reloads by status (0: control away)": dict(self.reloads),
            "control restarts": int(restarts),
            "upgrades": ", ".join(self.said),
        }
        sys.stdout.write("| what | value |\n|---|---|\n")
        sys.stdout.writelines(f"| {name} | {value} |\n" for name, value in rows.items())
        count = int(failed[1]) if failed else 0
        return 1 if errors or count > self.connections else 0


def main() -> int:
    """Reads the arguments and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        return Drill(Path(folder), given.seconds, given.workers).run()


if __name__ == "__main__":
    sys.exit(main())
