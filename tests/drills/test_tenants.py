"""The drill of a tenant that floods the master, in its shortest form; and what it is judged by."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tenants_calm import Sample, Seen
from tenants_judge import Record, faults
from tenants_table import Phase, Shares, lines, rank

DRILL = Path(__file__).with_name("tenants.py")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("more", [["--one-address"], ["--database", "postgresql"]])
def test_a_tenant_keeps_its_requests_and_events_while_another_floods(more: list[str]) -> None:
    short = ["--rounds", "1", "--seconds", "2", "--connections", "6", "--quota", "60"]
    drill = subprocess.run(
        [sys.executable, str(DRILL), *short, *more],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    sys.stdout.write(drill.stdout)
    assert drill.returncode == 0, drill.stdout + drill.stderr
    assert "| writes, p99, ms |" in drill.stdout
    assert "\n0 faults" in drill.stdout


def right() -> Record:
    """A record without a fault."""
    return Record(
        calm=[Sample("read", 1.0, 1.1, "200"), Sample("write", 1.2, 1.3, "200")],
        seen=[Seen(1, "resources.changed", "a", 1.0), Seen(2, "resources.changed", "a", 1.3)],
        wanted={"a": (2, "text")},
        found={"a": (2, "text")},
        floods=[
            {
                "reads": {"200": 5, "429": 9},
                "writes": {"200": 2, "429": 9},
                "wrong tokens": {"401": 50, "429": 9},
            }
        ],
        most_admitted=7,
        written=Counter({"writes-0": 2}),
        versions=Counter({"writes-0": 2}),
    )


def change(path: str, value: object) -> Callable[[Record], None]:
    """Puts a value into a field."""

    def do(record: Record) -> None:
        setattr(record, path, value)

    return do


def in_flood(kind: str, statuses: dict[str, int]) -> Callable[[Record], None]:
    """Has a kind of request of the flood get that."""

    def do(record: Record) -> None:
        record.floods = [{**record.floods[0], kind: statuses}]

    return do


def test_a_right_record_has_no_fault() -> None:
    assert faults(right()) == []


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (change("calm", []), "sent no request"),
        (change("calm", [Sample("read", 1.0, 1.1, "429")]), "got 429 for 1 requests that read"),
        (change("found", {"a": (1, "text")}), "is (1, 'text')"),
        (change("found", {}), "is None"),
        (change("seen", right().seen[:1]), "wrote 2 times and got 1 events"),
        (change("seen", right().seen[::-1]), "not numbered one by one"),
        (change("seen", [*right().seen, Seen(0, "gap", "", 2.0)]), "not numbered one by one"),
        (change("floods", []), "there was no flood"),
        (in_flood("reads", {"200": 5}), "no request of the reads was refused"),
        (in_flood("writes", {"200": 2, "429": 1, "409": 1}), "writes got 409 1 times"),
        (in_flood("wrong tokens", {"200": 1, "429": 1}), "wrong tokens got 200 1 times"),
        (change("without_wait", 3), "do not say when to come again"),
        (change("most_admitted", 6), "7 requests of the flood were admitted, at most 6"),
        (change("written", Counter()), "no write of the flood was admitted"),
        (change("versions", Counter({"writes-0": 3})), "2 writes of the flood acknowledged, 3"),
        (change("versions", Counter({"writes-0": 2, "x": 1})), "0 writes of the flood ack"),
    ],
)
def test_each_fault_is_found(fault: Callable[[Record], None], told: str) -> None:
    record = right()
    fault(record)
    assert any(told in one for one in faults(record)), faults(record)


def test_the_table_has_the_median_and_the_extremes_of_the_rounds() -> None:
    def phase(*, is_flood: bool, took_s: float) -> Phase:
        samples = [Sample("read", 1.0, 1.0 + took_s, "200"), Sample("write", 2.0, 2.5, "200")]
        flood = {"statuses": {"reads": {"429": 20}}, "seconds": 2.0} if is_flood else None
        one = Phase(is_flood, samples, Shares(10.0, 20.0), flood)
        one.take_events([(2.0, 0.6), (9.0, 5.0)])
        return one

    phases = [phase(is_flood=False, took_s=took) for took in (0.1, 0.3, 0.2)]
    found = list(lines([*phases, phase(is_flood=True, took_s=0.4)]))
    assert "| reads, p50, ms | 200.0 (100.0 to 300.0) | 400.0 (400.0 to 400.0) |" in found
    assert "| events, longest, ms | 600.0 (600.0 to 600.0) | 600.0 (600.0 to 600.0) |" in found
    assert "| requests of the flood/s | 0.0 (0.0 to 0.0) | 10.0 (10.0 to 10.0) |" in found
    assert "| reads | 429: 20 |" in found


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(one) for one in range(100, 0, -1)]
    assert [rank(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 50.0, 99.0, 100.0]
    assert rank([], 0.5) == 0.0
