"""Applies on a real store, journal and lock, to an nginx that is pretended; time passes at once."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from apply_host import Host, rendered

from headgate.engines.nginx.apply import applier, driver
from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.errorlog import LogMark
from headgate.engines.nginx.apply.hold import set_hold
from headgate.engines.nginx.apply.journal import JOURNAL, Journal
from headgate.engines.nginx.apply.machine import Request
from headgate.engines.nginx.apply.results import Applied, Rejected
from headgate.engines.nginx.common.types import (
    Generation,
    Rendered,
    RenderedFile,
    RightMissingError,
)
from headgate.engines.nginx.releases.lock import locked
from headgate.engines.nginx.releases.names import ReleaseName

FORWARD = ["fetch", "stage", "lint", "test", "preflight", "swap", "signal", "verify"]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    one = Host(tmp_path / "nginx")
    monkeypatch.setattr(applier, "Looker", lambda *_: one)
    for module in (applier, driver):
        monkeypatch.setattr(module, "time", one)
    return one


def test_each_apply_is_a_generation_that_becomes_current_and_known_good(host: Host) -> None:
    told: list[list[str]] = []
    first = host.apply("a", plan_digest="d1", applied=lambda: told.append(list(host.steps)))
    assert isinstance(first, Applied)
    assert (first.release.generation, host.links()) == (1, [first.release, None, first.release])
    assert host.store.release(first.release).manifest.plan_digest == "d1"
    assert host.phases == [*FORWARD, "soak", "commit", "done"]
    assert [one[-1] for one in told] == ["verify:recorded"], "once, after nginx was told"
    for step in FORWARD[:-1]:
        assert host.steps.index(f"{step}:done") == host.steps.index(f"{step}:recorded") + 1
    assert "verify:done" not in host.steps
    assert host.checked == [(what, first.release, None) for what in ("lint", "test", "preflight")]
    second = host.applied("b")
    assert (second.generation, host.links()) == (2, [second, first.release, second])
    assert host.checked[3:] == [
        ("lint", second, first.release),
        ("test", second, None),
        ("preflight", second, first.release),
    ]
    assert host.signals == ["HUP", "HUP"]
    assert host.last().step == "done"
    assert host.closed == 2
    assert not (host.looked[-1].names or host.looked[-1].probes)


def test_a_refusal_of_the_checks_leaves_everything(host: Host) -> None:
    first = host.applied("a")
    host.findings["lint"] = (Finding("bad", "it is bad"),)
    result = host.apply("b")
    assert isinstance(result, Rejected)
    assert (result.step, result.cause.text) == ("lint", "it is bad")
    assert host.links()[0] == first
    assert host.signals == ["HUP"]


def test_what_nginx_says_is_the_cause_and_the_old_release_stays(host: Host) -> None:
    first = host.applied("a")
    host.refusal = ("[emerg] no",)
    result = host.apply("b")
    assert isinstance(result, Rejected)
    assert (result.cause.text, result.serving) == ("2: [emerg] no", first)
    assert host.links() == [first, None, first]
    assert host.signals == ["HUP", "HUP"]


def test_what_does_not_serve_is_undone_and_without_words_it_was_not_verified(host: Host) -> None:
    first = host.applied("a")
    host.breaks = {2}
    result = host.apply("b")
    assert isinstance(result, Rejected)
    assert (result.cause.code, result.serving) == ("not_verified", first)
    assert host.signals == ["HUP", "HUP", "HUP"]
    assert host.running == first


def test_a_first_release_that_nginx_does_not_start_on_names_its_own_lines(host: Host) -> None:
    host.is_up = False
    host.refusal = ("a note", "[emerg] no", "[emerg] again")
    result = host.apply("a")
    assert isinstance(result, Rejected)
    assert result.cause.text == "1: [emerg] no"
    host.refusal = ("a note",)
    result = host.apply("b")
    assert isinstance(result, Rejected)
    assert result.cause.text == "2: a note"


def test_what_we_started_is_stopped_again_if_it_does_not_serve(host: Host) -> None:
    host.is_up = False
    host.breaks = {1}
    assert isinstance(host.apply("a"), Rejected)
    assert (host.signals, host.is_up) == (["start", "TERM"], False)
    host.is_up, host.signals, host.breaks = True, [], {2}
    assert isinstance(host.apply("b"), Rejected)
    assert host.signals == ["HUP", "HUP"], "it ran before us"


def test_an_nginx_that_ran_before_us_lets_go_of_a_first_release(host: Host) -> None:
    """A guest's release that answers, and whose probe does not."""
    host.faults = ("a probe failed",)
    result = host.apply("a")
    assert isinstance(result, Rejected)
    assert (host.signals, host.running, host.links()[0]) == (["HUP", "HUP"], None, None)
    assert (result.step, result.is_degraded, result.caveats) == ("verify", False, ())


def test_an_nginx_that_keeps_a_first_release_is_degraded_and_says_so(host: Host) -> None:
    host.faults = ("a probe failed",)
    host.keeps = True
    result = host.apply("a")
    assert isinstance(result, Rejected)
    assert (host.signals, result.is_degraded) == (["HUP", "HUP"], True)
    assert "nginx goes on serving generation 1" in result.text()


def test_an_older_release_is_restored_and_served_again(host: Host) -> None:
    first, second = host.applied("a"), host.applied("b")
    (host.store.path(first) / "nginx.conf").write_text("edited")
    set_hold(host.store.root, 60.0, "night")
    result = host.applier().switch(first)
    assert isinstance(result, Applied)
    assert (result.release, host.links()) == (first, [first, second, first])
    assert (host.store.path(first) / "nginx.conf").read_text() == "# a 1\n"
    assert isinstance(host.applier().switch(first), Applied)


@pytest.mark.parametrize("count", [1, 3])
def test_a_heal_that_is_not_proven_stays_on_the_release_proven_last(host: Host, count: int) -> None:
    name = [host.applied(text) for text in "abc"[:count]][-1]
    links = host.links()
    host.breaks = {name.generation}
    result = host.applier().switch(name)
    assert isinstance(result, Rejected)
    assert (result.step, result.serving, result.is_degraded) == ("verify", None, True)
    assert host.links() == links
    records = Journal(host.store.root / JOURNAL).records()
    assert {one.fallbacks for one in records[-3:]} == {(name,)}
    host.breaks = set()
    assert isinstance(host.applier().switch(name), Applied)
    assert host.links() == links, "it is not the one before itself"


def test_a_heal_tries_every_listener_of_its_release(host: Host) -> None:
    """Whatever the edit made nginx listen on."""

    def listening(generation: Generation) -> Rendered:
        return replace(rendered("a")(generation), listeners=("127.0.0.1:80",))

    result = host.applier().apply(listening)
    assert isinstance(result, Applied)
    assert isinstance(host.applier().switch(result.release), Applied)
    assert host.looked[-1].listeners == ("127.0.0.1:80",)


def test_a_heal_of_a_release_that_is_wanted_no_more_does_nothing(host: Host) -> None:
    first, second = host.applied("a"), host.applied("b")
    result = host.applier().heal(first)
    assert isinstance(result, Rejected)
    assert (result.cause.code, result.step) == ("busy", "fetch")
    assert host.links()[0] == second
    assert isinstance(host.applier().heal(second), Applied)


def test_a_hold_stops_applies_unless_told_otherwise(host: Host) -> None:
    assert host.applier().held() is None
    set_hold(host.store.root, 60.0, "night")
    held = host.applier().held()
    assert held is not None
    assert (held.code, held.is_transient) == ("held", True)
    assert held.text.startswith("held for ")
    result = host.apply("a")
    assert isinstance(result, Rejected)
    assert (result.generation, result.step, result.cause.code) == (0, "fetch", "held")
    assert host.phases == []
    assert isinstance(host.apply("a", despite_hold=True), Applied)
    (host.store.root / "hold.json").write_text("{")
    held = host.applier().held()
    assert held is not None
    assert (held.code, held.is_transient) == ("held", False)


def test_another_apply_and_a_missing_right_are_told(host: Host) -> None:
    with locked(host.store.root):
        busy = host.apply("a")
    assert isinstance(busy, Rejected)
    assert (busy.generation, busy.step, busy.cause.code) == (0, "fetch", "busy")
    assert busy.cause.is_transient

    def fails(error: Exception) -> Callable[[], object]:
        def read() -> object:
            raise error

        return read

    for error, code, is_transient in (
        (RightMissingError("no right"), "right_missing", False),
        (OSError("no disk"), "system", True),
    ):
        one = host.applier()
        one._recover = fails(error)  # type: ignore[method-assign, assignment]
        result = one.apply(rendered("a"))
        assert isinstance(result, Rejected)
        assert (result.cause.code, result.cause.is_transient) == (code, is_transient)
        assert (result.generation, result.step, result.cause.text) == (0, "fetch", str(error))


@pytest.mark.parametrize(
    ("error", "code", "is_transient"),
    [
        (RightMissingError("no"), "right_missing", False),
        (ProcessLookupError("no"), "gone", True),
        (OSError("no"), "system", True),
    ],
)
def test_a_signal_that_cannot_be_sent_is_told_by_its_cause(
    host: Host, error: Exception, code: str, is_transient: bool
) -> None:
    first = host.applied("a")
    host.fault = error
    result = host.apply("b")
    assert isinstance(result, Rejected)
    assert (result.cause.code, result.cause.is_transient) == (code, is_transient)
    assert host.links()[0] == first


def test_a_generation_is_never_used_twice(host: Host) -> None:
    host.applied("a")
    host.crash("stage", None)
    assert host.applied("b").generation == 10


def of_endpoints(conf: str, servers: str) -> Callable[[Generation], Rendered]:
    """A release of a config whose upstreams have these endpoints."""

    def render(generation: Generation) -> Rendered:
        texts = {"nginx.conf": conf, "upstreams.conf": servers, "generation.conf": f"{generation}"}
        files = (RenderedFile(path, text.encode()) for path, text in texts.items())
        return Rendered(files=tuple(files), listeners=())

    return render


def test_what_one_goes_back_to_is_another_config_not_other_endpoints(host: Host) -> None:
    def applied(plan: str, conf: str, servers: str) -> ReleaseName:
        result = host.applier().apply(of_endpoints(conf, servers), plan_digest=plan)
        assert isinstance(result, Applied)
        return result.release

    old, bad = applied("A", "a", "up"), applied("B", "b", "up")
    down = applied("B", "b", "down")
    assert host.links() == [down, old, down]
    host.crash("commit", down, bad)
    assert host.applier().recover() is None
    assert host.links() == [down, old, down]
    rerendered = applied("B", "b of a later version", "down")
    assert host.links() == [rerendered, down, rerendered]
    unnamed = [applied("", "c", servers) for servers in ("up", "down")]
    assert host.links() == [unnamed[1], unnamed[0], unnamed[1]]


class TestRecovery:
    """A journal that a crash left open."""

    def test_where_nothing_is_open_nothing_is_done(self, host: Host) -> None:
        host.applied("a")
        assert host.applier().recover() is None

    def test_what_changed_nothing_is_closed(self, host: Host) -> None:
        host.applied("a")
        host.crash("lint", None)
        assert host.applier().recover() is None
        assert (host.last().apply, host.last().step, host.last().target) == (9, "done", None)
        assert host.signals == ["HUP"]

    def test_a_commit_is_finished(self, host: Host) -> None:
        first, second = host.applied("a"), host.applied("b")
        host.store.link("known_good", first)
        host.store.link("previous", None)
        host.store.link("current", None)
        host.crash("commit", second, first)
        assert host.applier().recover() is None
        assert host.links() == [second, first, second]
        assert (host.last().step, host.last().target) == ("done", second)
        host.store.link("previous", None)
        host.crash("commit", second, second)
        assert host.applier().recover() is None
        assert host.links() == [second, None, second], "nothing is before itself"
        host.crash("commit", second)
        assert host.applier().recover() is None
        assert host.links() == [second, None, second]

    def test_a_release_that_runs_is_proven(self, host: Host) -> None:
        first, second = host.applied("a"), host.applied("b")
        host.crash("signal", second, first, mark="5:6")
        host.signals, host.marks = [], []
        result = host.applier().recover()
        assert isinstance(result, Applied)
        assert (result.release, host.signals) == (second, [])
        assert host.marks == [(LogMark.parse("5:6"), True)]
        assert host.links() == [second, first, second]

    @pytest.mark.parametrize("case", ["other runs", "other is current", "it is damaged"])
    def test_a_release_that_does_not_run_is_undone(self, host: Host, case: str) -> None:
        first, second = host.applied("a"), host.applied("b")
        if case == "other runs":
            host.running = first
        elif case == "other is current":
            host.store.link("current", first)
        else:
            (host.store.path(second) / "nginx.conf").unlink()
        host.crash("signal", second, first, mark="5:6")
        host.signals = []
        result = host.applier().recover()
        assert isinstance(result, Rejected)
        assert (result.serving, host.signals) == (first, ["HUP"])
        assert host.links()[0] == first

    def test_before_a_signal_it_is_enough_to_look(self, host: Host) -> None:
        first, second = host.applied("a"), host.applied("b")
        host.running = first
        host.crash("swap", second, first)
        host.signals = []
        result = host.applier().recover()
        assert isinstance(result, Rejected)
        assert (result.serving, host.signals) == (first, [])

    def test_a_rollback_goes_on(self, host: Host) -> None:
        first, second = host.applied("a"), host.applied("b")
        host.crash("rollback", second, first)
        host.signals = []
        result = host.applier().recover()
        assert isinstance(result, Rejected)
        assert (result.serving, host.signals) == (first, ["HUP"])

    def test_without_a_master_only_the_link_is_set(self, host: Host) -> None:
        first, second = host.applied("a"), host.applied("b")
        host.is_up = False
        host.crash("signal", second, first, mark="5:6")
        host.signals = []
        result = host.applier().recover()
        assert isinstance(result, Rejected)
        assert (result.serving, host.signals, host.links()[0]) == (None, [], first)

    def test_an_apply_recovers_first(self, host: Host) -> None:
        first, second = host.applied("a"), host.applied("b")
        host.running = first
        host.crash("swap", second, first)
        third = host.applied("c")
        assert host.links()[:2] == [third, first]


def test_the_processors_of_this_host_are_counted(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for counted, cpus in ((3, 3), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda counted=counted: counted)
        assert host.applier()._world.cpus == cpus
    assert host.applier(entry="/etc/nginx/nginx.conf")._world.has_entry
    assert not host.applier()._world.has_entry


def test_what_can_wait_is_done_after_each_apply_and_fails_none(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    did: list[str] = []

    def full(what: str) -> Callable[[], None]:
        def fail() -> None:
            did.append(what)
            raise OSError("no space left")

        return fail

    monkeypatch.setattr(host.store, "prune", lambda: did.append("prune"))
    monkeypatch.setattr(Journal, "compact", lambda _: did.append("compact"))
    monkeypatch.setattr(host.store, "clean", lambda: did.append("clean"))
    first, second = host.applied("a"), host.applied("b")
    assert did == ["prune", "compact"] * 2
    host.crash("swap", second, first)
    assert isinstance(host.applier().recover(), Applied)
    assert did[4:] == ["clean", "prune", "compact"]
    monkeypatch.setattr(host.store, "prune", full("full"))
    host.applied("c")
    assert did[7:] == ["full"]


def test_a_verdict_waits_longer_after_a_reload_that_took_long(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    last: list[float] = []

    def request(**given: object) -> Request:
        last.append(cast("float", given["last_reload_s"]))
        return Request(**given)  # type: ignore[arg-type]

    monkeypatch.setattr(applier, "Request", request)
    one = host.applier()
    first = one.apply(rendered("a"))
    assert isinstance(first, Applied)
    one.apply(rendered("b"))
    assert last == [0.0, first.reload_s]
    assert first.reload_s > 0
