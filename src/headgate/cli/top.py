"""`headgate top`: draws a table repeatedly from `/metrics` and `/status`.
Without a terminal it prints one table, of one interval.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from headgate.cli import calls, manage
from headgate.engines.types import EndpointStatus
from headgate.node.about import NodeStatus
from headgate.node.samples import Samples, parse


@dataclass(frozen=True, slots=True)
class Look:
    """A node at one moment; `at` is monotonic seconds."""

    at: float
    status: NodeStatus
    samples: Samples


def look(state_dir: Path) -> Look:
    """Asks a node now. Raises calls.NoNodeError."""
    page = calls.call(state_dir, "GET", "/metrics").body.decode(errors="replace")
    return Look(time.monotonic(), manage.status(state_dir), parse(page))


def watch(state_dir: Path, interval_s: float) -> None:
    """Draws until interrupted, or once into a file or a pipe.

    Raises calls.NoNodeError if no node answers to begin with.
    """
    before = look(state_dir)
    if not sys.stdout.isatty():
        time.sleep(interval_s)
        sys.stdout.write(plain(before, look(state_dir)))
        return
    with Live(draw(before, before), auto_refresh=False, screen=True) as live:
        try:
            while True:
                time.sleep(interval_s)
                try:
                    now = look(state_dir)
                except calls.NoNodeError as error:
                    live.update(Text(str(error), style="red"), refresh=True)
                    continue
                live.update(draw(before, now), refresh=True)
                before = now
        except KeyboardInterrupt:
            return


def plain(before: Look, now: Look) -> str:
    """Returns one screen as text without colours, as wide as needed."""
    console = Console(width=_WIDE, color_system=None)
    with console.capture() as capture:
        console.print(draw(before, now, expand=False))
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


_WIDE = 400


def draw(before: Look, now: Look, *, expand: bool = True) -> Group:
    """Returns one screen: what happened between two looks. 80 columns are enough for it."""
    seconds = max(now.at - before.at, 1e-9)
    requests = now.samples.total("http_requests_total") - before.samples.total(
        "http_requests_total"
    )
    received = now.samples.total("proxy_bytes_received_total")
    sent = now.samples.total("proxy_bytes_sent_total")
    rate_in = (received - before.samples.total("proxy_bytes_received_total")) / seconds
    rate_out = (sent - before.samples.total("proxy_bytes_sent_total")) / seconds
    quantiles = [
        now.samples.quantile("http_request_duration_seconds", q, before.samples)
        for q in (0.5, 0.99)
    ]
    p50, p99 = (f"{q * 1000:.1f} ms" if q is not None else "-" for q in quantiles)
    state = "ready" if now.status.ready else now.status.reason
    head = Table.grid(padding=(0, 3))
    head.add_row(
        f"config [b]{now.status.config.digest[:12]}[/b]",
        f"requests/s [b]{requests / seconds:.0f}[/b]",
        f"p50 [b]{p50}[/b]",
        f"p99 [b]{p99}[/b]",
    )
    head.add_row(
        f"connections [b]{now.samples.total('proxy_active_connections'):.0f}[/b]",
        f"in [b]{_bytes(rate_in)}/s[/b]",
        f"out [b]{_bytes(rate_out)}/s[/b]",
    )
    return Group(
        Text(state, style="bold"),
        head,
        _upstreams(before, now, seconds, expand=expand),
        *_errors(now),
    )


def _upstreams(before: Look, now: Look, seconds: float, *, expand: bool) -> Table:
    table = Table(expand=expand)
    table.add_column("upstream", overflow="fold")
    table.add_column("endpoint", overflow="fold", min_width=_ADDRESS)
    table.add_column("state")
    for title in ("req/s", "fail/s", "active", "idle"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, one in _endpoints(now).items():
        old = _endpoints(before).get(name, one)
        table.add_row(
            Text(name[0]),
            Text(name[1]),  # not as markup, which begins like an address of IPv6
            Text(one.state, style="green" if one.state == "up" else "red"),
            f"{(one.requests - old.requests) / seconds:.0f}",
            f"{(one.failures - old.failures) / seconds:.0f}",
            str(one.active),
            str(one.idle),
        )
    return table


_ADDRESS = 21
"""The longest IPv4 address with its port."""


def _errors(now: Look) -> list[Text]:
    """Returns the last error of each endpoint that has one, below the table: they can be long."""
    found = [(name, one) for name, one in _endpoints(now).items() if one.error]
    return [Text(f"{upstream} {address}: {one.error}") for (upstream, address), one in found]


def _endpoints(one: Look) -> dict[tuple[str, str], EndpointStatus]:
    upstreams = one.status.engine.upstreams
    return {(u.name, e.address): e for u in upstreams for e in u.endpoints}


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:  # noqa: PLR2004
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
