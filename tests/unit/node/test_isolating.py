"""What an engine refuses of a config: that alone is left out, and the rest is tried again."""

from collections.abc import Callable

import loops

from headgate.compile.quarantine import Refusal
from headgate.compile.settings import NodeSettings
from headgate.kernel.diagnostics import Diagnostic
from headgate.kernel.ids import ObjectName
from headgate.node.isolating import TRIES, Tried, serve_the_rest
from headgate.node.ports import Candidate, Rejected, Verdict
from headgate.plan.kinds import ObjectKey
from headgate.plan.plan import Plan

SETTINGS = NodeSettings((), (), None, None, "info")
WHOLE = Candidate(Plan(), SETTINGS, {}, (), lambda *_: Diagnostic(file="", message=""))


def of_object(name: str, *, is_passing: bool = False, is_undone: bool = False) -> Verdict:
    refusal = Refusal(ObjectKey("route", ObjectName(name)), "no")
    error = Diagnostic(file=f"routes/{name}.json", message="no")
    return Verdict((error,), refused=(refusal,), is_passing=is_passing, is_undone=is_undone)


OF_NONE = Verdict((Diagnostic(file="config", message="no worker comes up"),))
SERVED = Verdict(changed=True)


class Stage:
    """Answers tries one after the other, and remembers what was left out."""

    def __init__(self, *verdicts: Verdict, leaves_out: Callable[[str], bool] = bool) -> None:
        self._verdicts = list(verdicts)
        self._leaves_out = leaves_out
        self.left_out: list[str] = []

    async def serve(self, candidate: Candidate) -> Verdict:
        return self._verdicts.pop(0)

    async def isolate(self, candidate: Candidate, verdict: Verdict) -> Candidate | Rejected:
        names = [str(one.key.name) for one in verdict.refused]
        if not all(map(self._leaves_out, names)):
            return Rejected(verdict.errors)
        self.left_out += names
        return candidate

    def tried(self) -> Tried:
        found = loops.run(serve_the_rest(WHOLE, self.serve, self.isolate))
        assert not self._verdicts
        return found


def test_a_config_that_serves_is_served_whole() -> None:
    stage = Stage(SERVED)
    assert stage.tried() == Tried(WHOLE, SERVED)
    assert not stage.left_out


def test_the_rest_is_tried_without_each_object_that_is_named() -> None:
    stage = Stage(of_object("a"), of_object("b"), SERVED)
    assert stage.tried().verdict == SERVED
    assert stage.left_out == ["a", "b"]


def test_a_refusal_that_names_nothing_refuses_all_of_it_with_every_error() -> None:
    stage = Stage(of_object("a", is_undone=True), OF_NONE)
    verdict = stage.tried().verdict
    assert [one.file for one in verdict.errors] == ["routes/a.json", "config"]
    assert verdict.is_undone


def test_what_cannot_be_left_out_refuses_all_of_it() -> None:
    stage = Stage(of_object("a"), of_object("b"), leaves_out=lambda name: name != "b")
    assert [one.file for one in stage.tried().verdict.errors] == ["routes/a.json", "routes/b.json"]


def test_the_tries_are_bounded() -> None:
    names = [f"r{number}" for number in range(TRIES + 1)]
    stage = Stage(*map(of_object, names))
    assert len(stage.tried().verdict.errors) == TRIES + 1
    assert stage.left_out == names[:TRIES]


def test_it_says_whether_what_was_left_out_may_serve_later() -> None:
    assert Stage(of_object("a", is_passing=True), SERVED).tried().is_passing
    assert not Stage(of_object("a"), SERVED).tried().is_passing
