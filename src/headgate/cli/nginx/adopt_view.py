"""Shows the picture of an nginx as tables."""

import io
import shutil
import sys
from collections.abc import Iterable
from typing import Final

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from headgate.engines.nginx.observe.live import Live, NameRate
from headgate.engines.nginx.watch.adoption import Adopted, CertificateView

_WIDTH: Final = 140
_MANY: Final = 40
"""Rows of a table; JSON has all."""
_SOON_DAYS: Final = 21
_LEVELS: Final = {"high": "red", "medium": "yellow", "low": "default"}


def text(one: Adopted) -> str:
    """Returns the whole picture."""
    return _printed(
        _head(one),
        _hosts(one),
        _routes(one),
        _upstreams(one),
        _certificates(one),
        _findings(one),
        _live(one.live),
        _logs(one),
        *(Text(f"note: {note}") for note in (*one.picture.problems, *one.notes)),
    )


def live_text(one: Adopted) -> str:
    """Returns what changes from one moment to the next."""
    return _printed(_head(one), _live(one.live))


def _printed(*parts: Group | Table | Text) -> str:
    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else _WIDTH
    page = io.StringIO()
    console = Console(file=page, width=width, force_terminal=is_terminal)
    for part in parts:
        console.print(part)
    return page.getvalue()


def _head(one: Adopted) -> Group:
    workers = [each for each in one.processes if each.role == "worker"]
    draining = [each for each in one.processes if each.role == "draining"]
    resident = sum(each.resident_bytes for each in one.processes)
    root = f"  (in {one.root})" if one.root != "/" else ""
    name = (one.version or "nginx", "bold")
    lines = [
        f"{len(workers)} workers, {len(draining)} draining"
        + (f" (oldest {max(each.age_s for each in draining):.0f} s old)" if draining else "")
        + f", {resident / 1024**2:.0f} MiB resident, up {_age(one)}",
        f"{len(one.picture.files)} files, {one.picture.directives} directives",
    ]
    return Group(Text.assemble(name, f"  pid {one.pid}  {one.conf}{root}"), *map(Text, lines))


def _age(one: Adopted) -> str:
    seconds = next((each.age_s for each in one.processes if each.role == "master"), 0.0)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _hosts(one: Adopted) -> Table:
    table = _table("hosts", "names", "listens", "TLS", "default", "written")
    for host in one.picture.hosts[:_MANY]:
        _row(
            table,
            " ".join(host.names) or "-",
            " ".join(host.listens),
            "yes" if host.tls else "",
            "yes" if host.is_default else "",
            str(host.place),
        )
    return _cut(table, len(one.picture.hosts))


def _routes(one: Adopted) -> Table:
    table = _table("routes", "hosts", "location", "does", "target", "written")
    for route in one.picture.routes[:_MANY]:
        _row(
            table,
            " ".join(route.hosts) or "-",
            route.match or "(the rest)",
            route.action,
            route.target,
            str(route.place),
        )
    return _cut(table, len(one.picture.routes))


def _upstreams(one: Adopted) -> Table:
    table = _table("upstreams", "name", "balance", "endpoints", "written")
    for upstream in one.picture.upstreams[:_MANY]:
        _row(
            table,
            upstream.name,
            upstream.balance,
            "\n".join(upstream.endpoints),
            str(upstream.place),
        )
    return _cut(table, len(one.picture.upstreams))


def _certificates(one: Adopted) -> Table:
    table = _table("certificates", "file", "names", "expires", "key", "served", "servers")
    for each in one.certificates[:_MANY]:
        leaf = each.file.leaf
        names = " ".join(leaf.names[:4]) if leaf else each.file.problem
        _row(
            table,
            each.file.path,
            names,
            _expiry(each),
            each.file.key,
            _served(each),
            " ".join(each.servers[:4]),
        )
    for finding in one.certificate_findings[:_MANY]:
        _row(table, Text(finding.code, style="red"), Text(f"{finding.path}: {finding.message}"))
    return _cut(table, len(one.certificates))


def _expiry(each: CertificateView) -> Text:
    if each.days_left is None:
        return Text("?", style="red")
    style = "red" if each.days_left < 0 else "yellow" if each.days_left < _SOON_DAYS else "green"
    return Text(f"{each.days_left:.0f} days", style=style)


def _served(each: CertificateView) -> Text:
    leaf = each.file.leaf
    if not each.served:
        return Text("not asked")
    if leaf is not None and all(one.leaf and one.leaf.sha256 == leaf.sha256 for one in each.served):
        return Text("as on disk", style="green")
    problems = {one.problem for one in each.served if one.leaf is None}
    return Text("; ".join(sorted(problems)) or "another one", style="red")


def _findings(one: Adopted) -> Table:
    table = _table("findings", "level", "what", "where", "why", "advice")
    order = list(_LEVELS)
    found = sorted(one.picture.findings, key=lambda f: (order.index(f.level), f.file, f.line))
    for finding in found[:_MANY]:
        _row(
            table,
            Text(finding.level, style=_LEVELS[finding.level]),
            finding.id,
            f"{finding.file}:{finding.line}",
            finding.message,
            finding.advice,
        )
    return _cut(table, len(found))


def _live(live: Live) -> Group:
    rate = "not known" if live.requests is None else f"{live.requests:.1f}"
    status = "  ".join(f"{code} {per_s:.1f}" for code, per_s in live.status.items())
    stub = live.connections
    line = Text.assemble(
        ("now", "bold"),
        f" ({live.seconds:.0f} s, by {live.source.replace('_', ' ')})  requests/s ",
        (rate, "bold"),
        f"  {status}  p50 {_ms(live.p50_ms)}  p99 {_ms(live.p99_ms)}  connections ",
        (str(stub.active if stub else live.open_connections), "bold"),
        f"  CPU {live.cpu * 100:.0f} %",
    )
    parts: list[Text | Table] = [line]
    if live.errors:
        counts = "  ".join(f"{level} {count}" for level, count in live.errors.items())
        parts.append(Text(f"error log: {counts}"))
    for title, names in (("sites now", live.sites), ("upstreams now", live.upstreams)):
        if names:
            parts.append(_rates(title, names))
    if live.backends:
        table = _table("endpoints now", "endpoint", "requests/s", "failures/s")
        for each in live.backends[:_MANY]:
            _row(table, each.name, f"{each.requests:.1f}", f"{each.failures:.1f}")
        parts.append(_cut(table, len(live.backends)))
    return Group(*parts)


def _rates(title: str, names: Iterable[NameRate]) -> Table:
    table = _table(title, "name", "requests/s", "status/s", "out/s", "p50", "p99")
    every = list(names)
    for each in every[:_MANY]:
        _row(
            table,
            each.name,
            f"{each.requests:.1f}",
            "  ".join(f"{kind} {count:.1f}" for kind, count in each.status.items()),
            f"{each.bytes_out / 1024:.1f} KiB",
            _ms(each.p50_ms),
            _ms(each.p99_ms),
        )
    return _cut(table, len(every))


def _logs(one: Adopted) -> Table:
    table = _table("logs", "path", "kind", "of", "followed")
    for log in one.logs[:_MANY]:
        sites = " ".join(log.sites[:4])
        _row(table, log.path, log.kind, sites, f"no: {log.problem}" if log.problem else "yes")
    return _cut(table, len(one.logs))


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _row(table: Table, *cells: str | Text) -> None:
    """Adds a row; a plain cell is shown as it is, also what rich takes for markup."""
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def _cut(table: Table, count: int) -> Table:
    if count > _MANY:
        table.caption = f"and {count - _MANY} more (--output json has all)"
    return table
