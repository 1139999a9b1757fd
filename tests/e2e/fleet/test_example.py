"""`examples/fleet/run.py`: a rollout that goes well, one that hurts and is undone, as it prints."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from peers import peer

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "fleet" / "run.py"
LINE = re.compile(r" *([\d.]+) s  (\d*) +(\d/\d)? +(\d|-) +(\d|-) +(\d|-) +(.*)")


class Line(NamedTuple):
    """One line of the timeline."""

    at: float
    revision: str
    wave: str
    serving: tuple[str, str, str]
    text: str


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for what the example keeps, with a path short enough for sockets in it."""
    with tempfile.TemporaryDirectory(prefix="hg-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


def timeline(text: str) -> list[Line]:
    """What it printed, without the head."""
    found = [LINE.fullmatch(line) for line in text.splitlines()[1:]]
    assert all(found), text
    return [
        Line(float(one[1]), one[2], one[3] or "", (one[4], one[5], one[6]), one[7])
        for one in found
        if one is not None
    ]


def told(lines: list[Line], pattern: str) -> int:
    """Where the only line is whose text matches."""
    (at,) = (at for at, line in enumerate(lines) if re.search(pattern, line.text))
    return at


@pytest.mark.timeout(900)
def test_a_rollout_that_hurts_is_undone_and_every_node_serves_the_older_revision(
    place: Path,
) -> None:
    peer("nginx")
    done = subprocess.run(
        [sys.executable, EXAMPLE],
        env={**os.environ, "TMPDIR": str(place)},
        capture_output=True,
        text=True,
        timeout=880,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = timeline(done.stdout)
    assert [line.at for line in lines] == sorted(line.at for line in lines)
    good = told(lines, "the fleet serves revision 2")
    hurts = told(lines, "a revision that hurts")
    failed = told(lines, r"wave 1 \(label:tier=canary\) failed: .* requests failed, 0\.00% of its")
    undone = told(lines, "the connected agents serve revision 2 again")
    assert good < hurts < failed < undone
    # The canary served each revision before anybody else did; the one that hurts never went on.
    seen = [line.serving for line in lines]
    assert ("2", "1", "1") in seen[:good]
    assert ("2", "2", "2") in seen[: good + 1]
    assert ("3", "2", "2") in seen[hurts:undone]
    assert all(other == "2" for one in seen[hurts:] for other in one[1:])
    assert {(lines[failed].revision, lines[failed].wave)} == {("3", "1/2")}
    # Its clients alone met the errors, and the last word has what every node answers.
    canary, *others = (line.text for line in lines[-4:-1])
    assert "times 500" in canary
    assert all("times 500" not in one for one in others)
    assert lines[-1].serving == ("2", "2", "2")
    assert lines[-1].text.count("200 from revision 2") == 3
    assert list(place.iterdir()) == [], "it cleans up after itself"
    assert running_in(place) == []


def running_in(place: Path) -> list[bytes]:
    """The command lines of processes that have to do with a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(place).encode() in words:
            found.append(words)
    return found
