"""What 100,000 changes of everything that has an identity leave in memory, process by process.

`python tests/drills/memory.py --reloads 1000 --each 50` replaces, in each reload, so many
upstreams, endpoints, hosts and routes by others and serves a request on a kept connection; it
samples the resident memory of supervisor, control process and data plane and writes an SVG.
"""

import argparse
import http.client
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from drill_parts import control_pid
from ports import free_port
from running_node import RunningNode, Upstream, config

PROCESSES = ("supervisor", "control", "data plane")
_COLOURS = ("#5b8db8", "#76a76e", "#d9662b")
_WIDTH, _HEIGHT, _LEFT, _TOP = 720, 320, 60, 40

Sample = tuple[int, tuple[int, ...]]
"""Changes so far, and KiB of each of `PROCESSES`."""


def main() -> int:
    """Prints the samples; writes the plot."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        samples = list(_play(Path(folder), options.reloads, options.each, options.samples))
    for changes, sizes in samples:
        told = (f"{name} {size} KiB" for name, size in zip(PROCESSES, sizes, strict=True))
        sys.stdout.write(f"{changes} changes: {', '.join(told)}\n")
    options.plot.write_text(plot(samples))
    sys.stdout.write(f"plotted in {options.plot}\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--each", type=int, default=50, help="objects of each kind")
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--plot", type=Path, default=Path("memory.svg"))
    return parser.parse_args()


def _play(folder: Path, reloads: int, each: int, samples: int) -> Sequence[Sample]:
    upstream, port = Upstream("a"), free_port()
    base = config(port, upstream.address)
    found: list[Sample] = []
    changes = 0
    with RunningNode(folder, base) as node:
        node.until_ready()
        client = http.client.HTTPConnection("127.0.0.1", port)
        for number in range(reloads + 1):
            if number % max(1, reloads // samples) == 0:
                found.append((changes, _sizes(node)))
            node.config.write_text(base + generation(number, each, upstream.address))
            status, body = node.admin("POST", "/reload")
            assert status == 200, body
            changes += 3 * each * (1 if number == 0 else 2)
            client.request("GET", "/", headers={"host": f"h{number}-0.example"})
            answer = client.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
    upstream.close()
    return found


def generation(number: int, each: int, address: str) -> str:
    """Hosts, routes and upstreams that no other generation has; two endpoints each."""
    parts = []
    for i in range(each):
        name = f"{number}-{i}"
        other = f"127.{number // 250 % 250}.{number % 250}.{i % 250 + 1}:1"
        parts.append(
            f"[upstreams.u{name}]\n"
            f'endpoints = ["{address}", {{address = "{other}", backup = true}}]\n'
            f'[hosts."h{name}.example"]\nmiddlewares = '
            f'[{{response_headers = {{set = {{x-v = "{name}"}}}}}}]\n'
            f'[routes.r{name}]\nhosts = ["h{name}.example"]\nupstream = "u{name}"\n'
        )
    return "".join(parts)


def _sizes(node: RunningNode) -> tuple[int, ...]:
    """KiB of each process, in the order of `PROCESSES`."""
    supervisor, control = node.process.pid, control_pid(node)
    command = ["ps", "-o", "pid=", "--ppid", str(supervisor)]
    children = {int(pid) for pid in subprocess.check_output(command, text=True).split()}
    (plane,) = children - {control}
    return tuple(_resident(pid) for pid in (supervisor, control, plane))


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ProcessLookupError(f"process {pid} has no resident memory")


def plot(samples: Sequence[Sample]) -> str:
    """Lines over the number of changes, in MiB."""
    most = max(max(sizes) for _, sizes in samples)
    last = max(1, samples[-1][0])
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 40}" '
        f'height="{_TOP + _HEIGHT + 50}" style="font: 12px system-ui, sans-serif">'
        '<rect width="100%" height="100%" fill="white"/>'
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = _TOP + _HEIGHT * (1 - share)
        out.append(f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        out.append(f'<text x="8" y="{y + 4}">{most * share / 1024:.0f} MiB</text>')
    for at, (name, colour) in enumerate(zip(PROCESSES, _COLOURS, strict=True)):
        points = " ".join(
            f"{_LEFT + _WIDTH * changes / last:.1f},{_TOP + _HEIGHT * (1 - sizes[at] / most):.1f}"
            for changes, sizes in samples
        )
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>')
        out.append(f'<text x="{_LEFT + at * 140}" y="20" fill="{colour}">{name}</text>')
    out.append(f'<text x="{_LEFT}" y="{_TOP + _HEIGHT + 30}">0 to {last} changes</text></svg>\n')
    return "\n".join(out)


if __name__ == "__main__":
    sys.exit(main())
