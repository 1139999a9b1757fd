"""What a run does with troubles between two actions."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from headgate.engines.nginx.apply import steps as do
from headgate.engines.nginx.apply.driver import Job, Run, World
from headgate.engines.nginx.apply.journal import JournalError, Record
from headgate.engines.nginx.apply.machine import Machine
from headgate.engines.nginx.apply.results import Result
from headgate.engines.nginx.releases.names import ReleaseName

NEW = ReleaseName(2, "0123456789ab")


class FullJournal:
    def append(self, record: Record) -> None:
        raise JournalError("no space left")


def test_what_cannot_be_journaled_is_not_done(tmp_path: Path) -> None:
    """A crash would find a link that leads to a release of which the journal knows nothing."""
    told: list[do.Event] = []
    steps: list[str] = []
    end = cast(Result, SimpleNamespace())

    def handle(event: do.Event, at: float) -> list[do.Action]:
        told.append(event)
        return [do.Finish(end)]

    world = SimpleNamespace(
        journal=FullJournal(), looker=SimpleNamespace(close=lambda: None), on_step=steps.append
    )
    machine = SimpleNamespace(release=None, handle=handle)
    run = Run(cast(World, world), Job(2, (), NEW), cast(Machine, machine))
    swap: list[do.Action] = [do.Announce("swap", NEW), do.Link(NEW)]
    assert run.to_end(swap) is end
    (trouble,) = told
    assert isinstance(trouble, do.Trouble)
    assert trouble.finding.code == "journal"
    assert steps == []
