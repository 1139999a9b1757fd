"""How the last apply of a driven nginx ended, from its journal."""

import pytest

from headgate.engines.nginx.apply.journal import Record, Step
from headgate.engines.nginx.health.managed import last_apply
from headgate.engines.nginx.releases.names import ReleaseName

_OLD, _NEW = ReleaseName(1, "0" * 12), ReleaseName(2, "1" * 12)


def _journal(*steps: Step, target: ReleaseName | None = None) -> tuple[Record, ...]:
    first = Record(1, "done", target=_OLD, at=1.0)
    return (
        first,
        *(
            Record(2, step, None if step == "fetch" else _NEW, at=2.0)
            for step in steps
            if step != "done"
        ),
        *((Record(2, "done", target=target, at=3.0),) if "done" in steps else ()),
    )


@pytest.mark.parametrize(
    ("records", "ended", "step"),
    [
        (_journal("fetch", "stage", "swap", "commit", "done", target=_NEW), "served", "commit"),
        (_journal("fetch", "stage", "test", "done", target=_OLD), "refused", "test"),
        (_journal("fetch", "stage", "swap", "rollback", "done", target=_OLD), "undone", "rollback"),
        (_journal("fetch", "stage", "swap"), "open", "swap"),
    ],
)
def test_the_newest_apply_is_told_from_the_journal(
    records: tuple[Record, ...], ended: str, step: str
) -> None:
    last = last_apply(records)
    assert last is not None
    assert (last.generation, last.ended, last.step) == (2, ended, step)
    assert last.went_back_to == (str(_OLD) if ended == "undone" else "")


def test_without_a_journal_there_was_no_apply() -> None:
    assert last_apply(()) is None
