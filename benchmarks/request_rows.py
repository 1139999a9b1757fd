"""The table of requests: what each kind costs the proxy and the whole machine, beside nginx.

The proxy's own CPU alone can be lowered by moving work to soft interrupts and to the other side, so
no row shows it without the CPU of all cores and the requests a second.
"""

from dataclasses import dataclass

from results import Result, Table, table
from rows import BASE, OURS, Spread, judged, paired, spread


@dataclass(frozen=True)
class Bars:
    """What the ratios of a row must be; None where nothing is demanded."""

    cpu: float | None = None
    """CPU of the proxy for each request, at most."""
    cpu_aim: float | None = None
    machine: float | None = None
    """Busy time of all cores for each request, at most."""
    rps: float | None = None
    """Requests a second at saturation, at least."""


@dataclass(frozen=True)
class RequestRow:
    """A case, with its bars."""

    case: str
    title: str
    bars: Bars = Bars()


ROWS: tuple[RequestRow, ...] = (
    RequestRow("h1-13", "13 B keep-alive, 64 connections", Bars(0.92, 0.82)),
    RequestRow("h1-13-c256", "13 B keep-alive, 256 connections", Bars(0.92, 0.82)),
    RequestRow("h1-1k", "1 KiB response"),
    RequestRow("h1-64k", "64 KiB response", Bars(0.92, 0.82, machine=0.72, rps=1.0)),
    RequestRow("upload-64k", "64 KiB upload", Bars(0.92, 0.82)),
    RequestRow("h1-1m", "1 MiB response", Bars(0.50, 0.42, machine=0.72, rps=1.0)),
    RequestRow("close-13", "one connection per request", Bars(0.98, 0.90)),
    RequestRow("tls-13", "TLS 1.3 keep-alive, 13 B", Bars(0.95, 0.80)),
    RequestRow("tls-64k", "TLS 1.3 keep-alive, 64 KiB", Bars(0.85, 0.65)),
    RequestRow("tls-handshake", "TLS 1.3 full handshake + request", Bars(0.80, 0.55)),
    RequestRow("h2-13", "HTTP/2 over TLS, 13 B", Bars(0.55, 0.45)),
    RequestRow("h2c-13", "HTTP/2 in clear, 13 B", Bars(0.55, 0.45)),
    RequestRow("h2-64k", "HTTP/2 over TLS, 64 KiB", Bars(0.85, 0.65)),
    RequestRow("h2-1m", "HTTP/2 over TLS, 1 MiB", Bars(0.60, 0.40)),
    RequestRow("websocket", "WebSocket echo"),
)
_HALF_P99 = 1.0
"""p99 at half load over the better of nginx and HAProxy, at most."""


def text(results: list[Result]) -> str:
    """The table as Markdown: each cell with its spread, its bar and what became of it."""
    lines = [
        "| row | CPU of the proxy | CPU of the machine | requests/s | p99 at half load |",
        "|---|---|---|---|---|",
    ]
    for row in ROWS:
        found, bars = table(results, row.case, ""), row.bars
        cells = (
            _cell(paired(found, OURS, "us"), bars.cpu, bars.cpu_aim),
            _cell(paired(found, OURS, "machine_us"), bars.machine),
            _cell(paired(found, OURS, "rps"), bars.rps, at_least=True),
            _cell(_half_p99(found), _HALF_P99),
        )
        lines.append(f"| {row.title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(
    found: Spread | None, must: float | None, aim: float | None = None, *, at_least: bool = False
) -> str:
    if found is None:
        return "not measured"
    verdict = judged(found, must, aim, at_least=at_least)
    if must is None:
        return found.text(2)
    bound = "at least" if at_least else "at most"
    wanted = f"{bound} {must:g}" + ("" if aim is None else f", aim {aim:g}")
    return f"{found.text(2)}; {wanted}: {verdict}"


def _half_p99(found: Table) -> Spread | None:
    ratios: list[float] = []
    for number, ours in found.get(OURS, {}).items():
        best = [
            found[peer][number]["half_p99"]
            for peer in (BASE, "haproxy")
            if found.get(peer, {}).get(number, {}).get("half_p99")
        ]
        if best and "half_p99" in ours:
            ratios.append(ours["half_p99"] / min(best))
    return spread(ratios)
