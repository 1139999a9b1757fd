"""What is remembered of objects that an engine refused, between two loads of one bundle."""

from headgate.compile.forms import Form
from headgate.compile.quarantine import Quarantined, Refusal
from headgate.compile.settings import NodeSettings
from headgate.kernel.diagnostics import Diagnostic
from headgate.kernel.ids import ObjectName
from headgate.node.agent.refused import Refused
from headgate.node.ports import Candidate, Verdict
from headgate.plan.kinds import ObjectKey
from headgate.plan.plan import Plan

SETTINGS = NodeSettings((), (), None, None, "info")
KEY = ObjectKey("route", ObjectName("shop"))
NO = Diagnostic(file="routes/shop.json", message="no")


def candidate(form: Form | None = None) -> Candidate:
    """A config in which the route is quarantined in this form, or not at all."""
    quarantined = {} if form is None else {KEY: Quarantined(KEY, form, "no")}
    return Candidate(Plan(), SETTINGS, {}, (), lambda *_: NO, quarantined=quarantined)


def verdict(*, is_passing: bool = False) -> Verdict:
    return Verdict((NO,), refused=(Refusal(KEY, "no"),), is_passing=is_passing)


def test_a_refused_object_stays_refused() -> None:
    refused = Refused()
    assert refused.add(candidate(), verdict())
    refused.begin()
    assert list(refused.listed()) == [Refusal(KEY, "no")]


def test_a_last_good_form_that_is_refused_too_is_given_up() -> None:
    refused = Refused()
    refused.add(candidate(), verdict())
    assert refused.add(candidate("last good"), verdict())
    (one,) = refused.listed()
    assert one.is_last_refused


def test_an_object_that_is_closed_already_cannot_be_helped() -> None:
    for form in ("closed", "absent"):
        assert not Refused().add(candidate(form), verdict())


def test_a_refusal_of_no_object_cannot_be_helped() -> None:
    assert not Refused().add(candidate(), Verdict((NO,)))


def test_what_may_have_passed_is_tried_again() -> None:
    refused = Refused()
    refused.add(candidate(), verdict(is_passing=True))
    before = refused.copy()
    assert refused.listed()
    refused.begin()
    assert not refused.listed()
    assert before.listed(), "a copy is another one"
