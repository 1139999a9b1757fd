"""The rules and the dashboard in `deploy/`: metrics exist, and alerts fire when they should."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from dashboard import queries
from peers import peer

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "prometheus" / "headgate.rules.yml"
OF_PROMETHEUS = {"up"}
_NAME = re.compile(r"\b((?:http|proxy|headgate)_[a-z0-9_]+|up)\b(?=[\s{\[)]|$)")


def known() -> set[str]:
    """Every name that the page of a node or of a master can have, as the reference lists them."""
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    page += (ROOT / "docs" / "reference" / "nginx-metrics.md").read_text()
    page += (ROOT / "docs" / "reference" / "master-metrics.md").read_text()
    names = set()
    for name, kind in re.findall(r"(?m)^\| `([a-z0-9_]+)` \| (\w+) \|", page):
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        names |= {name + ending for ending in endings.get(kind, [""])}
    return names | OF_PROMETHEUS


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(peer("promtool")), *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("text", [RULES.read_text(), "\n".join(queries())])
def test_every_metric_that_is_named_exists(text: str) -> None:
    expressions = "\n".join(line for line in text.splitlines() if "alert:" not in line)
    found = set(_NAME.findall(expressions))
    assert len(found) > 10
    assert found <= known()


def test_prometheus_takes_the_rules() -> None:
    done = promtool("check", "rules", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    cases = Path(__file__).with_name("rules_test.yml").read_text()
    (tmp_path / "cases.yml").write_text(cases.replace("RULES", str(RULES)))
    done = promtool("test", "rules", str(tmp_path / "cases.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_to_do() -> None:
    alerts = RULES.read_text().split("- alert:")[1:]
    assert len(alerts) > 10
    for alert in alerts:
        assert "summary:" in alert
        assert "action:" in alert
        assert re.search(r"severity: (warning|critical)", alert)


def test_the_dashboard_has_every_query_once_and_its_own_ids() -> None:
    board = json.loads((ROOT / "deploy" / "grafana" / "headgate.json").read_text())
    shown = [t["expr"] for panel in board["panels"] for t in panel.get("targets", [])]
    assert sorted(shown) == sorted(queries())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
