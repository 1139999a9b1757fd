"""Which objects of a config an engine refused."""

from headgate.compile.settings import NodeSettings
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.ports import Candidate
from headgate.node.serving.refusals import refusals
from headgate.plan.objects import Endpoint, Upstream
from headgate.plan.plan import entry, plan_of

APP = entry("upstream", "app", Upstream(endpoints=(Endpoint(address="127.0.0.1:9"),)))
CANDIDATE = Candidate(
    plan_of([APP]),
    NodeSettings((), (), None, None, "info"),
    {},
    (),
    lambda *_: Diagnostic(file="", message=""),
)
OF_APP = ("upstream", "app", "endpoints", "too many")


def test_a_refusal_is_of_an_object_of_the_plan() -> None:
    (one,) = refusals(CANDIDATE, [OF_APP])
    assert (one.key, one.path, one.why) == (APP.key, "endpoints", "too many")


def test_one_fault_of_no_object_makes_all_of_them_that_of_the_whole() -> None:
    for other in (
        ("", "", "", "no worker comes up"),
        ("settings", "node", "workers", "too many"),
        ("blob", "0123", "", "too large"),
        ("upstream", "gone", "", "unknown"),
    ):
        assert refusals(CANDIDATE, [OF_APP, other]) == ()
