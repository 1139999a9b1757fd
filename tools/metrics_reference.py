"""Writes docs/reference/metrics.md and master-metrics.md from the metrics pages' own text.

The families of the data plane and of the master are those of their golden pages, the control
process's those that it makes. With `--check` it writes nothing, names the pages on stderr that
differ and exits with 1.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Final, cast

from headgate.compile.quarantine import Quarantined
from headgate.kernel.ids import ObjectName
from headgate.node.agent.about import MasterStatus, RevisionStatus
from headgate.node.key_sets.about import Counted, KeySetStatus
from headgate.node.link import About
from headgate.node.metrics import own
from headgate.node.remote.families import families as link_families
from headgate.node.remote.families import restarts
from headgate.node.remote.peer import Certificate, LinkStatus, Peer
from headgate.node.state import Node
from headgate.plan.kinds import ObjectKey

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = "docs/reference/metrics.md"
TOP: Final = ROOT / "tools" / "metrics_reference.md"
"""The text before the page's tables."""
MASTER_PAGE: Final = "docs/reference/master-metrics.md"
MASTER_TOP: Final = ROOT / "tools" / "master_metrics_reference.md"
MASTER_GOLDEN: Final = ROOT / "tests/golden/master/metrics.txt"
GOLDEN: Final = ROOT / "engine/crates/hg-dataplane/src/openmetrics/golden.txt"

_META: Final = re.compile(r"# (HELP|TYPE) (\S+) (.*)")
_SAMPLE: Final = re.compile(r"([a-z_0-9]+)(?:\{(.*)\})? \S+")
_LABEL: Final = re.compile(r'(\w+)="')


@dataclass
class Family:
    """One family, in the words of the page."""

    name: str
    meaning: str = ""
    type: str = ""
    labels: list[str] = field(default_factory=list)


def main() -> int:
    """Writes the pages; with `--check` only says which differ."""
    stale = 0
    for name, text in ((PAGE, page()), (MASTER_PAGE, master_page())):
        path = ROOT / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if "--check" in sys.argv[1:]:
            sys.stderr.write(f"metrics_reference: {name} is out of step\n")
            stale = 1
            continue
        path.write_text(text, encoding="utf-8")
    return stale


def master_page() -> str:
    """Returns the whole page of a master's metrics."""
    top = MASTER_TOP.read_text(encoding="utf-8").rstrip("\n")
    return "\n".join([top, "", *table(MASTER_GOLDEN.read_text(encoding="utf-8"))]) + "\n"


def page() -> str:
    """Returns the whole page."""
    lines = [TOP.read_text(encoding="utf-8").rstrip("\n"), "", "## The data plane", ""]
    lines += table(GOLDEN.read_text(encoding="utf-8"))
    lines += ["", "## The control process", "", *table(control_page())]
    lines += ["", "## The control link", "", *table(link_page())]
    return "\n".join(lines) + "\n"


def control_page() -> str:
    """Returns the families of an agent's control process that has done nothing yet."""
    key = ObjectKey("route", ObjectName("api"))
    served = SimpleNamespace(quarantined={key: Quarantined(key, "closed", "")})
    pipeline = SimpleNamespace(
        counts=Counter(),
        last=None,
        last_success_at=0.0,
        served=None,
        in_service=lambda: served,
    )
    revision = RevisionStatus(1, "")
    master = SimpleNamespace(status=lambda: MasterStatus(url="", serving=revision))
    key_set = Counted(KeySetStatus("", "fresh", 0.0), Counter({"ok": 0}))
    parts = SimpleNamespace(
        pipeline=pipeline,
        started_at=0.0,
        remote=None,
        master=master,
        key_sets=SimpleNamespace(told=lambda: [key_set]),
    )
    node = cast(Node, parts)
    return own(node, About(None, [], 1, {}, "running", True), up=True)


def link_page() -> str:
    """Returns the families of a control link between two hosts, which either side has."""
    certificate = Certificate("", [], 0.0)
    peer = Peer("", "", 0, "", certificate)
    link = LinkStatus("dataplane", "", False, 0.0, 0.0, certificate, peer=peer)
    about = About(None, [], 1, {}, "running", True)
    ends = link_families(link, {"held": 1})
    return "".join([*ends, *restarts(about, {"control": "gate"})])


def table(text: str) -> Iterator[str]:
    """Yields the rows for the families of a page."""
    yield "| family | type | labels | meaning |"
    yield "|---|---|---|---|"
    for one in families(text):
        labels = ", ".join(f"`{label}`" for label in one.labels)
        meaning = one.meaning.replace("|", "\\|")
        yield f"| `{one.name}` | {one.type} | {labels} | {meaning} |"


def families(text: str) -> Iterator[Family]:
    """Yields the families of a page in OpenMetrics, in its order."""
    current: Family | None = None
    for line in text.splitlines():
        if meta := _META.match(line):
            if current is None or current.name != meta[2]:
                if current is not None:
                    yield current
                current = Family(meta[2])
            if meta[1] == "HELP":
                current.meaning = meta[3]
            else:
                current.type = meta[3]
        elif (sample := _SAMPLE.match(line)) and current is not None:
            found = _LABEL.findall(sample[2] or "")
            current.labels += [one for one in found if one not in (*current.labels, "le")]
    if current is not None:
        yield current


if __name__ == "__main__":
    sys.exit(main())
