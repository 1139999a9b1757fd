"""The table of requests: what each kind costs the proxy and the whole machine, beside nginx.

The proxy's own CPU alone can be lowered by moving work to soft interrupts and to the other side, so
no row shows it without the CPU of all cores and the requests a second.
"""

from dataclasses import dataclass

from results import Result, Table, table
from rows import BASE, OURS, Spread, judged, paired, spread


@dataclass(frozen=True)
class Bars:
    """The limits on the ratios of a row; None where nothing is demanded."""

    cpu: float | None = None
    """CPU of the proxy for each request, at most."""
    cpu_aim: float | None = None
    machine: float | None = None
    """Busy time of all cores for each request, at most."""
    rps: float | None = None
    """Requests a second at saturation, at least."""
    machine_aim: float | None = None


@dataclass(frozen=True)
class RequestRow:
    """A case, with its bars."""

    case: str
    title: str
    bars: Bars = Bars()
    keys: tuple[str, str, str] = ("us", "machine_us", "rps")
    """The figures: CPU of the proxy, of the machine, and how much a second."""
    half_load: bool = True
    """True if its latency at half load is measured."""
    base: str = BASE
    """The proxy whose figures the ratios are to."""


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
    RequestRow("mux-13", "HTTP/1.1 to an HTTP/2 upstream, 13 B", Bars(0.60, 0.50)),
    RequestRow("grpc-13", "unary gRPC, ratios to Envoy", Bars(0.50, 0.40), base="envoy"),
    RequestRow("websocket", "WebSocket echo"),
)
_BULK = ("s_per_gb", "machine_s_per_gb", "gb_per_s")
_BULK_BARS = Bars(0.49, 0.45, machine=0.75, machine_aim=0.67, rps=1.0)
LAYER_4: tuple[RequestRow, ...] = (
    RequestRow("l4-echo", "TCP 64 B, 64 connections", Bars(1.0, 0.96)),
    RequestRow("l4-close", "TCP connect, 64 B, close", Bars(1.0, 0.95), half_load=False),
    RequestRow("l4-bulk-1", "TCP bulk, 1 connection", _BULK_BARS, _BULK, half_load=False),
    RequestRow("l4-bulk-16", "TCP bulk, 16 connections", _BULK_BARS, _BULK, half_load=False),
    RequestRow("l4-bulk-256", "TCP bulk, 256 connections", _BULK_BARS, _BULK, half_load=False),
    RequestRow("l4-down-16", "TCP bulk to clients, 16 connections", keys=_BULK, half_load=False),
    RequestRow("l4-udp", "UDP 64 B, 1 flow", Bars(0.95, 0.5), half_load=False),
    RequestRow("l4-udp-10000", "UDP 64 B, 10,000 flows", Bars(0.95, 0.5), half_load=False),
)
"""TCP and UDP; of bulk it is CPU for each GB, and GB a second."""
_HALF_P99 = 1.0
"""p99 at half load over the better of nginx and HAProxy, at most."""


def text(
    results: list[Result], rows: tuple[RequestRow, ...] = ROWS, what: str = "requests/s"
) -> str:
    """A table as Markdown: each cell with its spread, its bar and what became of it."""
    lines = [
        f"| row | CPU of the proxy | CPU of the machine | {what} | p99 at half load |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        found, bars = table(results, row.case, ""), row.bars
        cpu, machine, rate = (paired(found, OURS, key, row.base) for key in row.keys)
        cells = (
            _cell(cpu, bars.cpu, bars.cpu_aim),
            _cell(machine, bars.machine, bars.machine_aim),
            _cell(rate, bars.rps, at_least=True),
            _cell(_half_p99(found), _HALF_P99) if row.half_load else "–",
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
