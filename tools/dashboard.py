"""Writes the Grafana dashboard of nodes; with `--check` only says whether it is out of step.

A panel is a line: title, unit, and (legend, query) of each of its series.
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).resolve().parent.parent / "deploy" / "grafana" / "headgate.json"
_WHERE = 'instance=~"$instance"'
_FAILED = ',status=~"5.."'
_WIDTH, _HEIGHT, _COLUMNS = 8, 7, 3


class Panel(NamedTuple):
    """A graph; `unit` is one of Grafana's."""

    title: str
    unit: str
    series: tuple[tuple[str, str], ...]


def _rate(metric: str, by: str, more: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{_WHERE}{more}}}[$__rate_interval]))"


def _quantile(share: float) -> str:
    buckets = _rate("http_request_duration_seconds_bucket", "le")
    return f"histogram_quantile({share}, {buckets})"


ROWS: dict[str, tuple[Panel, ...]] = {
    "Traffic": (
        Panel("Requests", "reqps", (("{{status}}", _rate("http_requests_total", "status")),)),
        Panel("Duration", "s", (("p50", _quantile(0.5)), ("p99", _quantile(0.99)))),
        Panel(
            "Failed requests",
            "percentunit",
            (
                (
                    "{{upstream}}",
                    f"{_rate('http_requests_total', 'upstream', _FAILED)}"
                    f" / {_rate('http_requests_total', 'upstream')}",
                ),
            ),
        ),
        Panel(
            "Bytes",
            "Bps",
            (
                ("to clients", _rate("proxy_bytes_sent_total", "job")),
                ("from clients", _rate("proxy_bytes_received_total", "job")),
            ),
        ),
        Panel(
            "Client connections",
            "short",
            (
                ("{{instance}}", f"proxy_active_connections{{{_WHERE}}}"),
                ("HTTP/2 {{instance}}", f"headgate_http2_connections{{{_WHERE}}}"),
                ("tunnels {{instance}}", f"headgate_tunnels{{{_WHERE}}}"),
            ),
        ),
        Panel(
            "Answered by headgate itself",
            "reqps",
            (("{{reason}}", _rate("headgate_rejects_total", "reason")),),
        ),
    ),
    "Upstreams": (
        Panel("Requests", "reqps", (("{{upstream}}", _rate("http_requests_total", "upstream")),)),
        Panel(
            "Endpoints that take requests",
            "short",
            (("{{backend}}", f"headgate_backend_takes_traffic{{{_WHERE}}}"),),
        ),
        Panel(
            "Failures by endpoint",
            "reqps",
            (("{{backend}}", _rate("proxy_backend_failures_total", "backend")),),
        ),
        Panel(
            "Retries",
            "reqps",
            (
                ("{{reason}}", _rate("headgate_retries_total", "reason")),
                ("denied: {{reason}}", _rate("headgate_retries_denied_total", "reason")),
            ),
        ),
        Panel(
            "Waiting for a connection",
            "short",
            (("{{upstream}}", f"headgate_upstream_waiting{{{_WHERE}}}"),),
        ),
        Panel(
            "Breakers opened, and panic",
            "short",
            (
                (
                    "{{upstream}} opened",
                    f"increase(headgate_upstream_breaker_opened_total{{{_WHERE}}}[$__rate_interval])",
                ),
                ("{{upstream}} panic", f"headgate_upstream_panic{{{_WHERE}}}"),
            ),
        ),
    ),
    "Node": (
        Panel(
            "CPU",
            "percentunit",
            (
                ("data plane", _rate("headgate_dataplane_cpu_seconds_total", "instance")),
                ("control", _rate("headgate_control_cpu_seconds_total", "instance")),
            ),
        ),
        Panel(
            "Memory of the data plane",
            "bytes",
            (("{{instance}}", f"headgate_dataplane_resident_bytes{{{_WHERE}}}"),),
        ),
        Panel(
            "Overload",
            "short",
            (
                ("{{cause}}", f"max by (cause) (headgate_overload_level{{{_WHERE}}})"),
                ("shed {{level}}", _rate("headgate_overload_shed_total", "level")),
            ),
        ),
        Panel(
            "Config",
            "short",
            (
                ("reloads {{result}}", _rate("headgate_config_reloads_total", "result")),
                ("serves the last one", f"headgate_config_last_reload_successful{{{_WHERE}}}"),
            ),
        ),
        Panel(
            "Days until certificates end",
            "d",
            (("{{certificate}}", f"headgate_certificate_expiry_days{{{_WHERE}}}"),),
        ),
        Panel(
            "Timeouts",
            "reqps",
            (("{{phase}}", _rate("headgate_timeouts_total", "phase")),),
        ),
    ),
}


def queries() -> list[str]:
    """Returns every query of the dashboard."""
    return [query for row in ROWS.values() for panel in row for _, query in panel.series]


def text() -> str:
    """Returns the dashboard, as Grafana 9 and later import it."""
    panels: list[dict[str, object]] = []
    top = 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": top, "w": _WIDTH * _COLUMNS, "h": 1}
        panels.append({"type": "row", "title": title, "gridPos": place, "panels": []})
        for index, panel in enumerate(row):
            x, y = index % _COLUMNS * _WIDTH, top + 1 + index // _COLUMNS * _HEIGHT
            panels.append(_panel(panel, {"x": x, "y": y, "w": _WIDTH, "h": _HEIGHT}))
        top += 1 + -(-len(row) // _COLUMNS) * _HEIGHT
    for number, one in enumerate(panels, 1):
        one["id"] = number
    dashboard = {
        "title": "headgate",
        "uid": "headgate-nodes",
        "tags": ["headgate"],
        "schemaVersion": 37,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": panels,
    }
    return json.dumps(dashboard, indent=1) + "\n"


_SOURCE = {"type": "prometheus", "uid": "${source}"}


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, object]:
    targets = [
        {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": query, "legendFormat": name}
        for index, (name, query) in enumerate(panel.series)
    ]
    return {
        "type": "timeseries",
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"tooltip": {"mode": "multi"}},
        "targets": targets,
    }


def _variables() -> list[dict[str, object]]:
    nodes = "label_values(headgate_up, instance)"
    return [
        {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"},
        {
            "name": "instance",
            "label": "Node",
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": nodes, "refId": "nodes"},
            "definition": nodes,
            "includeAll": True,
            "allValue": ".*",
            "multi": True,
            "current": {"text": "All", "value": "$__all"},
            "refresh": 2,
        },
    ]


def main() -> int:
    """Writes the file; the exit code is 1 if it differs and `--check` was given."""
    wanted = text()
    if FILE.exists() and FILE.read_text() == wanted:
        return 0
    if "--check" in sys.argv[1:]:
        sys.stderr.write(f"{FILE.name} differs\n")
        return 1
    FILE.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
