"""What a run does with troubles between two actions, and what it expects after a signal."""

from pathlib import Path
from types import SimpleNamespace
from typing import Literal, cast

import pytest

from headgate.engines.nginx.apply import steps as do
from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.driver import Job, Run, World
from headgate.engines.nginx.apply.evidence import Expectation, Probe
from headgate.engines.nginx.apply.journal import JournalError, Record, Step
from headgate.engines.nginx.apply.machine import Machine
from headgate.engines.nginx.apply.results import Result
from headgate.engines.nginx.common.types import Rendered, ServedName
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
    assert trouble.finding == Finding("journal", "no space left", is_transient=True)
    assert steps == []


def test_a_machine_that_asks_for_what_cannot_be_done_is_an_error_of_our_own() -> None:
    world = SimpleNamespace(looker=SimpleNamespace(close=lambda: None), store=None)
    job = Job(2, (), lambda _: Rendered((), ()))
    run = Run(cast(World, world), job, cast(Machine, SimpleNamespace(release=None)))
    with pytest.raises(ValueError, match="nothing that answers"):
        run.to_end([])
    with pytest.raises(ValueError, match="STAGE without FETCH"):
        run.to_end([do.Stage()])


OLD = ReleaseName(1, "ba9876543210")
A, B, C = (ServedName("*:443", name, ()) for name in ("a.test", "b.test", "c.test"))
PROBE = Probe("127.0.0.1:80", "a.test")


class Nginx:
    """An nginx with two releases: the new one has one more listener, and B in place of C."""

    def __init__(self) -> None:
        self.is_running = True
        self.done: list[str] = []
        self.refusals: tuple[Finding, ...] = ()
        self.is_upgrading = False
        self.has_entry = False

    def release(self, name: ReleaseName) -> SimpleNamespace:
        names = {OLD: (A, C), NEW: (A, B)}
        listeners = {OLD: ("*:80",), NEW: ("*:80", "*:81")}
        manifest = SimpleNamespace(listeners=listeners[name], served_names=names[name])
        return SimpleNamespace(name=name, manifest=manifest)

    def signal(self, name: str) -> None:
        self.done.append(name)

    def world(self) -> World:
        instance = SimpleNamespace(
            master=lambda: SimpleNamespace(pid=7) if self.is_running else None,
            start=lambda: self.done.append("start"),
            signal=self.signal,
        )
        checks = SimpleNamespace(
            conf=lambda _: SimpleNamespace(workers=lambda: 0),
            is_upgrading=lambda: self.is_upgrading,
            test=lambda _: self.refusals,
        )
        world = SimpleNamespace(
            store=SimpleNamespace(release=self.release),
            instance=instance,
            checks=checks,
            looker=SimpleNamespace(mark=lambda *_, **__: self.done.append("mark")),
            has_entry=self.has_entry,
            cpus=3,
            proxied=frozenset({"*:81"}),
            on_step=lambda _: None,
        )
        return cast(World, world)

    def signalled(
        self,
        how: Literal["reload", "look", "resume"],
        target: ReleaseName = NEW,
        *,
        first: bool = False,
    ) -> do.Event:
        machine = cast(Machine, SimpleNamespace(release=NEW))
        job = Job(2, () if first else (OLD,), NEW, probes=(PROBE,))
        event = Run(self.world(), job, machine)._carry_out(do.Signal(target, how))
        assert event is not None
        return event


def expected(event: do.Event) -> Expectation:
    assert isinstance(event, do.Signalled)
    return event.expected


def test_a_reload_has_to_prove_what_is_new() -> None:
    nginx = Nginx()
    found = expected(nginx.signalled("reload"))
    assert (found.listeners, found.names) == (("*:81",), (B,))
    assert (found.generation, found.workers, found.probes) == (2, 3, (PROBE,))
    assert (found.needs_new_workers, found.proxied) == (True, frozenset({"*:81"}))
    assert nginx.done == ["HUP"]


def test_a_first_release_and_a_start_have_to_prove_everything() -> None:
    nginx = Nginx()
    assert expected(nginx.signalled("reload", first=True)).listeners == ("*:80", "*:81")
    nginx.is_running = False
    found = expected(nginx.signalled("reload"))
    assert (found.listeners, found.names) == (("*:80", "*:81"), (A, B))
    assert nginx.done == ["HUP", "start"]


def test_a_way_back_tries_every_listener_and_names_that_return_and_no_probe() -> None:
    nginx = Nginx()
    found = expected(nginx.signalled("reload", OLD))
    assert (found.listeners, found.names, found.probes) == (("*:80",), (C,), ())
    assert nginx.done == ["HUP"]


def test_a_look_sends_no_signal_and_takes_old_workers() -> None:
    nginx = Nginx()
    assert expected(nginx.signalled("look")).needs_new_workers is False
    nginx.is_running = False
    assert expected(nginx.signalled("look")).listeners == ("*:81",)
    assert nginx.done == []
    assert expected(nginx.signalled("resume")).needs_new_workers
    assert nginx.done == ["mark"]


def test_a_reload_that_cannot_go_well_is_not_begun() -> None:
    nginx = Nginx()
    nginx.refusals = (Finding("lint", "odd", is_error=False), Finding("syntax", "no"))
    assert isinstance(nginx.signalled("reload"), do.Signalled)  # it was tested before
    nginx.has_entry = True
    trouble = nginx.signalled("reload")
    assert isinstance(trouble, do.Trouble)
    assert trouble.finding.code == "syntax"
    assert isinstance(nginx.signalled("reload", OLD), do.Signalled)
    nginx.is_upgrading = True
    assert isinstance(nginx.signalled("reload"), do.Trouble)
    assert nginx.done == ["HUP", "HUP"]


class Breaking:
    """A journal that takes everything, before a link that breaks in no way that is known."""

    def __init__(self) -> None:
        self.said: list[do.Event] = []

    def append(self, record: Record) -> None:
        pass

    def link(self, name: str, release: ReleaseName) -> None:
        raise ZeroDivisionError(name)

    def handle(self, event: do.Event, at: float) -> list[do.Action]:
        self.said.append(event)
        return [do.Finish(cast(Result, SimpleNamespace()))]

    def run(self, step: Step) -> None:
        world = SimpleNamespace(
            journal=self,
            store=self,
            looker=SimpleNamespace(close=lambda: None),
            report=lambda _: None,
            on_step=lambda _: None,
        )
        machine = SimpleNamespace(release=NEW, handle=self.handle)
        run = Run(cast(World, world), Job(2, (), NEW), cast(Machine, machine))
        run.to_end([do.Announce(step, NEW), do.Link(NEW)])


def test_an_error_of_our_own_is_undone_once_something_was_changed() -> None:
    one = Breaking()
    with pytest.raises(ZeroDivisionError):
        one.run("preflight")
    assert one.said == []
    one.run("swap")
    (trouble,) = one.said
    assert isinstance(trouble, do.Trouble)
    assert (trouble.finding.code, trouble.finding.text) == (
        "internal",
        "ZeroDivisionError: current",
    )
