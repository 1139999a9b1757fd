"""The apply machine: every phase, every failure, every way back, without an nginx."""

from collections.abc import Callable
from itertools import product

import pytest
from apply_world import (
    BASE,
    NEW,
    OLDER,
    Faked,
    Nginx,
    Playing,
    applied,
    key_of,
    rejected,
)

from headgate.engines.nginx.apply import steps as do
from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.evidence import Expectation, LogLine, Observation
from headgate.engines.nginx.apply.journal import STEPS, Step
from headgate.engines.nginx.apply.machine import deadline_s
from headgate.engines.nginx.apply.results import Applied
from headgate.engines.nginx.apply.undo import How
from headgate.engines.nginx.apply.verdict import SETTLED_S
from headgate.engines.nginx.releases.names import ReleaseName

FORWARD = ["fetch", "stage", "lint", "test", "preflight", "swap", "signal", "verify"]
ERROR = (Finding("bad", "it is bad"),)


def test_a_good_release_goes_all_the_way_and_becomes_known_good() -> None:
    play = Playing()
    result = applied(play.play())
    assert play.announced == [*FORWARD, "soak", "commit", "done"]
    assert play.links == {"current": NEW, "previous": BASE, "known_good": NEW}
    assert (play.signals, result.release) == (1, NEW)
    assert result.verified_s >= 0.5, "workers had to live for that long"
    assert play.nginx.running == NEW
    assert play.deep_looks == 1, "listeners and names once all else holds"


@pytest.mark.parametrize("look", [1, 10, 60])
def test_it_is_verified_as_soon_as_its_workers_have_lived_long_enough(look: int) -> None:
    """However late they come: no deadline is waited for."""
    play = Playing(on_signal=(nothing,), at={("verify", look): Nginx.reload})
    result = applied(play.play())
    assert SETTLED_S <= result.verified_s - result.reload_s < SETTLED_S + 0.2


def test_each_step_is_announced_before_it_is_taken() -> None:
    play = Playing()
    order: list[str] = []
    original = play.carry_out

    def watched(action: do.Action) -> do.Event | None:
        if not isinstance(action, do.Look | do.Pause):
            order.append(key_of(action))
        return original(action)

    play.carry_out = watched  # type: ignore[method-assign]
    play.play()
    acts = {
        "fetch": "fetch",
        "stage": "stage",
        "lint": "lint",
        "test": "test",
        "preflight": "preflight",
        "swap": "link 7",
        "signal": "signal reload 7",
        "commit": "commit",
    }
    for step, act in acts.items():
        assert order.index(f"announce {step}") + 1 == order.index(act)


@pytest.mark.parametrize("step", ["lint", "test", "preflight"])
def test_an_error_before_the_swap_changes_nothing(step: str) -> None:
    play = Playing(errors={step: ERROR})
    result = rejected(play.play())
    assert (result.step, result.cause, result.outcome) == (step, ERROR[0], None)
    assert (play.links, play.signals) == ({}, 0)
    assert play.announced[-1] == "done"


def test_a_refusal_that_cannot_be_announced_is_a_refusal() -> None:
    play = Playing(errors={"lint": ERROR}, trouble=("announce done",))
    assert rejected(play.play()).step == "lint"


def test_it_soaks_for_as_long_as_it_was_asked_to_and_no_longer() -> None:
    """The last pause is as long as what is left of the time."""
    play = Playing(soak_s=0.6)
    began: dict[str, float] = {}
    original = play.carry_out

    def watched(action: do.Action) -> do.Event | None:
        began.setdefault(key_of(action), play.now)
        return original(action)

    play.carry_out = watched  # type: ignore[method-assign]
    applied(play.play())
    soaked = began["announce commit"] - began["announce soak"]
    assert 0.6 <= soaked < 0.65


def test_warnings_are_kept_and_stop_nothing() -> None:
    warning = Finding("meh", "it is not nice", is_error=False)
    result = applied(Playing(errors={"lint": (warning,), "test": (warning,)}).play())
    assert result.warnings == (warning, warning)


@pytest.mark.parametrize("key", ["fetch", "stage", "lint", "test", "preflight"])
@pytest.mark.parametrize("prefix", ["", "announce "])
def test_trouble_before_the_swap_changes_nothing(prefix: str, key: str) -> None:
    play = Playing(trouble=(prefix + key,))
    result = rejected(play.play())
    assert result.step == key
    assert (play.links, play.signals) == ({}, 0)


@pytest.mark.parametrize("key", ["announce swap", "link 7", "announce signal", "signal reload 7"])
def test_trouble_at_swap_or_signal_relinks_and_sends_nothing(key: str) -> None:
    play = Playing(trouble=(key,))
    result = rejected(play.play())
    assert play.nginx.current == BASE
    assert (play.signals, result.serving, result.is_degraded) == (0, BASE, False)


def test_a_rejected_reload_is_relinked_only_and_the_old_proven() -> None:
    play = Playing(on_signal=(Nginx.refuse,))
    result = rejected(play.play())
    assert (result.outcome, result.serving, result.is_degraded) == ("REJECTED", BASE, False)
    assert play.links == {"current": BASE}
    assert play.signals == 1, "no HUP to undo what nginx never took"
    assert play.announced == [*FORWARD, "rollback", "rollback_signal", "rollback_verify", "done"]
    assert result.undone_s < 0.5


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [(Nginx.die, "BROKEN"), (Nginx.half, "PARTIAL"), (Nginx.faulty, "PARTIAL")],
)
def test_what_does_not_serve_is_reloaded_back(fault: Faked, outcome: str) -> None:
    def heals(nginx: Nginx) -> None:
        nginx.faults = ()
        nginx.reload()

    play = Playing(on_signal=(fault, heals))
    result = rejected(play.play())
    assert (result.outcome, result.serving, result.is_degraded) == (outcome, BASE, False)
    assert (play.signals, play.nginx.running) == (2, BASE)
    assert play.links == {"current": BASE}


def test_dead_workers_are_undone_at_once_and_not_at_the_deadline() -> None:
    play = Playing(on_signal=(Nginx.die, Nginx.reload))
    began = play.now
    result = rejected(play.play())
    assert play.now - began < 1.5
    assert result.undone_s < SETTLED_S + 0.2, "only as long as the old one's proof takes"


def nothing(_: Nginx) -> None:
    """HUP, and nginx does not react."""


def test_a_master_that_does_not_react_is_undone_by_a_signal_since_it_may_still_read() -> None:
    play = Playing(on_signal=(nothing, Nginx.reload))
    began = play.now
    result = rejected(play.play())
    assert result.outcome == "PARTIAL"
    assert "not verified in time" in result.cause.text
    assert 8.0 <= play.now - began < 11.0
    assert play.signals == 2


@pytest.mark.parametrize(("took_s", "deadline"), [(1.0, 8.0), (4.0, 17.0)])
def test_a_config_that_is_slow_to_test_has_longer_to_load(took_s: float, deadline: float) -> None:
    play = Playing(on_signal=(nothing, Nginx.reload), took_s=took_s)
    began = play.now
    rejected(play.play())
    assert deadline <= play.now - began < deadline + 3.0


def gone(nginx: Nginx) -> None:
    nginx.has_master = False
    nginx.workers = frozenset()
    nginx.running = None


def back(nginx: Nginx) -> None:
    nginx.has_master = True
    nginx.reload()


def test_a_master_that_died_is_started_with_the_old_release() -> None:
    play = Playing(on_signal=(gone, back))
    result = rejected(play.play())
    assert (result.outcome, result.serving) == ("BROKEN", BASE)


def crashed(nginx: Nginx) -> None:
    nginx.lines = (LogLine("killed", "[alert] 1#1: worker process 5 exited on signal 11", 5),)


def foreign(nginx: Nginx) -> None:
    nginx.running = OLDER


@pytest.mark.parametrize(
    ("what", "outcome"),
    [(crashed, "PARTIAL"), (gone, "BROKEN"), (Nginx.die, "BROKEN"), (foreign, "PARTIAL")],
)
@pytest.mark.parametrize("look", [1, 3])
def test_what_breaks_while_it_soaks_is_undone(what: Faked, outcome: str, look: int) -> None:
    play = Playing(on_signal=(Nginx.reload, back), at={("soak", look): what})
    result = rejected(play.play())
    assert (result.step, result.outcome, result.serving) == ("soak", outcome, BASE)
    assert play.links == {"current": BASE}


def test_an_old_worker_that_crashes_on_its_way_out_is_no_failure() -> None:
    def reload_with_crash(nginx: Nginx) -> None:
        old = next(iter(nginx.workers)).pid
        nginx.reload()
        nginx.lines = (LogLine("killed", "worker exited on signal", old),)

    assert isinstance(Playing(on_signal=(reload_with_crash,)).play(), Applied)


def test_a_bind_that_was_retried_with_success_is_told_and_kept() -> None:
    def reload_late(nginx: Nginx) -> None:
        nginx.reload()
        nginx.lines = (LogLine("bind_retry", "bind() failed (98)"),)

    result = applied(Playing(on_signal=(reload_late,)).play())
    assert result.caveats == ("bind() failed (98)",)


def test_an_unknown_log_takes_longer_and_is_told() -> None:
    known, unknown = Playing(), Playing(nginx=Nginx(is_log_known=False))
    quick, slow = applied(known.play()), applied(unknown.play())
    assert slow.verified_s >= 3.0 > quick.verified_s
    assert "the error log is unknown" in slow.caveats[0]


def test_a_commit_that_cannot_be_announced_is_undone() -> None:
    play = Playing(trouble=("announce commit",))
    result = rejected(play.play())
    assert (result.step, result.cause.code, result.serving) == ("commit", "journal", BASE)


def test_links_that_cannot_be_set_after_the_commit_are_left_to_the_journal() -> None:
    play = Playing(trouble=("commit",))
    result = applied(play.play())
    assert "commit failed" in result.caveats[0]
    assert play.announced[-1] == "commit", "without `done` a replay sets them"


class TestFallbacks:
    """When what was current before does not serve either."""

    def test_the_known_good_release_is_restored_and_reported_as_degraded(self) -> None:
        play = Playing(on_signal=(Nginx.die, Nginx.die, Nginx.reload))
        result = rejected(play.play())
        assert (result.serving, result.is_degraded) == (BASE, True)
        assert "restore 6" in play.done

    def test_then_the_one_before(self) -> None:
        play = Playing(on_signal=(Nginx.die, Nginx.die, Nginx.die, Nginx.reload))
        result = rejected(play.play())
        assert (result.serving, result.is_degraded) == (OLDER, True)
        assert play.links["current"] == OLDER

    def test_then_nothing_is_proven_and_people_must_look(self) -> None:
        play = Playing(on_signal=(Nginx.die,))
        result = rejected(play.play())
        assert (result.serving, result.is_degraded) == (None, True)
        assert "NO RELEASE IS PROVEN TO SERVE" in result.text()
        assert play.links["current"] == BASE, "what was proven last is what the next start gets"
        assert play.announced[-1] == "done"

    def test_a_relinked_release_that_does_not_serve_gets_a_signal(self) -> None:
        def refuse_and_die(nginx: Nginx) -> None:
            nginx.refuse()

        play = Playing(
            on_signal=(refuse_and_die, Nginx.reload), at={("rollback_verify", 1): Nginx.die}
        )
        result = rejected(play.play())
        assert (result.serving, result.is_degraded, play.signals) == (BASE, False, 2)

    def test_a_release_that_cannot_be_restored_is_tried_as_it_is(self) -> None:
        play = Playing(on_signal=(Nginx.die, Nginx.die, Nginx.reload), trouble=("restore 6",))
        assert rejected(play.play()).serving == BASE

    def test_trouble_on_the_way_back_goes_on_to_the_next(self) -> None:
        play = Playing(on_signal=(Nginx.die, Nginx.reload), trouble=("signal reload 6",))
        result = rejected(play.play())
        assert (result.serving, result.is_degraded) == (OLDER, True)

    def test_a_full_disk_does_not_stop_a_rollback(self) -> None:
        steps = tuple(f"announce {step}" for step in STEPS if step.startswith("rollback"))
        play = Playing(on_signal=(Nginx.die, Nginx.reload), trouble=steps)
        assert rejected(play.play()).serving == BASE


class TestFirst:
    """Without a release before."""

    def test_it_is_applied_and_has_no_previous(self) -> None:
        play = Playing(fallbacks=())
        applied(play.play())
        assert play.links == {"current": NEW, "previous": None, "known_good": NEW}

    def test_what_does_not_serve_is_unlinked_and_stopped(self) -> None:
        play = Playing(fallbacks=(), on_signal=(Nginx.die,))
        result = rejected(play.play())
        assert play.links == {"current": None}
        assert "stop" in play.done
        assert (result.serving, result.is_degraded) == (None, False)


class TestAfterACrash:
    """Where a journal was left open."""

    def test_a_release_that_runs_is_verified_and_committed(self) -> None:
        play = Playing(nginx=Nginx(current=NEW, running=NEW))
        applied(play.play(lambda machine: machine.resume(NEW)))
        assert play.signals == 0
        assert play.links == {"previous": BASE, "known_good": NEW}

    def test_a_release_that_runs_badly_is_undone(self) -> None:
        play = Playing(nginx=Nginx(current=NEW, running=NEW), at={("verify", 1): Nginx.die})
        result = rejected(play.play(lambda machine: machine.resume(NEW)))
        assert (result.serving, play.signals) == (BASE, 1)

    @pytest.mark.parametrize(("how", "signals"), [("look", 0), ("reload", 1)])
    def test_what_does_not_run_is_undone(self, how: How, signals: int) -> None:
        play = Playing(nginx=Nginx(current=NEW, running=BASE))
        result = rejected(play.play(lambda machine: machine.undo(NEW, how, play.now)))
        assert (result.serving, result.release, play.signals) == (BASE, NEW, signals)
        assert result.cause.code == "interrupted"

    def test_where_nginx_does_not_run_only_the_link_is_set(self) -> None:
        play = Playing(nginx=Nginx(current=NEW, running=None))
        result = rejected(play.play(lambda machine: machine.undo(NEW, "leave", play.now)))
        assert (result.serving, result.is_degraded, play.signals) == (None, False, 0)
        assert play.nginx.current == BASE


EVENTS: tuple[Callable[[], do.Event], ...] = (
    do.Fetched,
    lambda: do.Staged(NEW),
    do.Checked,
    do.Done,
    lambda: do.Signalled(Expectation(7, 2)),
    lambda: do.Seen(Observation(has_master=True)),
    do.Woken,
)
CAN_HAVE: dict[Step, tuple[type[do.Event], ...]] = {
    "fetch": (do.Fetched,),
    "stage": (do.Staged,),
    **dict.fromkeys(("lint", "test", "preflight"), (do.Checked,)),
    **dict.fromkeys(("swap", "commit"), (do.Done,)),
    "signal": (do.Signalled,),
    **dict.fromkeys(("rollback", "rollback_signal", "known_good"), (do.Done, do.Signalled)),
    **dict.fromkeys(("verify", "soak", "rollback_verify"), (do.Seen, do.Woken)),
}


@pytest.mark.parametrize("signals", [(Nginx.reload,), (Nginx.die, Nginx.die, Nginx.reload)])
def test_an_event_that_a_phase_cannot_have_is_refused(signals: tuple[Faked, ...]) -> None:
    """It is a fault of the driver, and changes nothing."""
    play, tried = Playing(on_signal=signals), set()
    original = play.carry_out

    def watched(action: do.Action) -> do.Event | None:
        phase = play.running.phase
        for event in (make() for make in EVENTS):
            if phase in CAN_HAVE and not isinstance(event, CAN_HAVE[phase]):
                tried.add(phase)
                with pytest.raises(ValueError, match=f"^{type(event).__name__} while in {phase}$"):
                    play.running.handle(event, play.now)
        return original(action)

    play.carry_out = watched  # type: ignore[method-assign]
    expected = Playing(on_signal=signals)
    assert play.play() == expected.play()
    assert tried == {*expected.announced} - {"done"}


SIGNALS = (Nginx.reload, Nginx.refuse, Nginx.die, Nginx.half, Nginx.faulty, nothing, gone)
TROUBLES = (
    (),
    ("announce verify",),
    ("announce soak",),
    ("link 6",),
    ("restore 6", "signal reload 6"),
    ("announce rollback", "announce done"),
)


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("fallbacks", [(), (BASE,), (BASE, BASE, OLDER)])
@pytest.mark.parametrize("signals", list(product(SIGNALS, SIGNALS)))
def test_every_story_ends_and_says_the_truth(
    signals: tuple[Faked, ...], fallbacks: tuple[ReleaseName, ...], trouble: tuple[str, ...]
) -> None:
    play = Playing(on_signal=signals, fallbacks=fallbacks, trouble=trouble)
    result = play.play()
    nginx = play.nginx
    if isinstance(result, Applied):
        assert nginx.running == nginx.current == play.links["known_good"] == NEW
        assert not nginx.faults
        return
    assert "known_good" not in play.links, "what was not proven is never known as good"
    if result.serving is not None:
        assert nginx.running == nginx.current == result.serving
        assert nginx.has_master and len(nginx.workers) >= 2
    elif fallbacks:
        assert result.is_degraded
    else:
        assert nginx.current is None or "link 6" in trouble


def test_the_deadline_follows_the_last_reload() -> None:
    assert [deadline_s(took) for took in (0.0, 1.0, 2.0, 10.0)] == [8.0, 8.0, 11.0, 35.0]
