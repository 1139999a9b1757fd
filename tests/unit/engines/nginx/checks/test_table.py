"""Which endpoints take nothing: checks, panic and orders over reloads, on a clock of the test's."""

from collections.abc import Mapping

from headgate.engines.nginx.checks.answer import Failure
from headgate.engines.nginx.checks.outliers import Ended
from headgate.engines.nginx.checks.table import HealthTable
from headgate.plan.objects import (
    CircuitBreaker,
    Endpoint,
    Health,
    HealthCheck,
    OutlierDetection,
    OutlierShares,
    Upstream,
)
from headgate.plan.plan import Plan, entry, plan_of

CHECK = HealthCheck(interval_ms=1000, fast_interval_ms=100, max_interval_ms=4000)
BAD = Failure("check-status", "the status is 500")
ONE, TWO, THREE = "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"


class Checked:
    """A table with a clock, and the words of what it told."""

    def __init__(self) -> None:
        self.now = 1_000
        self.told: list[str] = []
        self.table = HealthTable(self._tell, lambda: self.now, lambda: 0)

    def _tell(self, level: str, kind: str, message: str, fields: dict[str, str]) -> None:
        assert fields == {"object": "upstream app"}
        self.told.append(f"{level} {kind}: {message}")

    def serve(
        self, upstream: Upstream, addresses: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        """Serves this upstream as `app`."""
        self.table.serve(plan(upstream), addresses or {})

    def check(self, **results: Failure | None) -> None:
        """Lets every check that is due end: by the last digit of the port, `None` passed."""
        for member, _ in self.table.due():
            self.table.result(member, results[f"p{member.target[-1]}"], self.now)

    def until_due(self, at: str) -> None:
        """Moves the clock to the next check of an endpoint."""
        (member,) = (one for one in self.table._groups["app"].members if one.target == at)
        assert member.health.next_ms is not None
        self.now = max(self.now, member.health.next_ms)

    def state(self, at: str) -> tuple[str, bool]:
        """What is told of an endpoint."""
        told = self.table.told()["app"][1][at]
        return told.state, told.takes

    @property
    def out(self) -> set[str]:
        """The addresses that take nothing."""
        return set(self.table.served_out().get("app", ()))


def plan(upstream: Upstream) -> Plan:
    """A plan of one upstream, `app`."""
    return plan_of([entry("upstream", "app", upstream)])


def app(*addresses: str, check: HealthCheck | None = CHECK, below: int = 30) -> Upstream:
    """An upstream of these endpoints."""
    health = Health(check=check, panic_threshold=below)
    return Upstream(tuple(map(Endpoint, addresses)), health=health)


def test_an_endpoint_is_out_after_as_many_failures_as_the_config_says() -> None:
    one = Checked()
    one.serve(app(ONE, TWO))
    assert [one.state(at) for at in (ONE, TWO)] == [("unknown", True)] * 2
    one.check(p1=None, p2=None)
    assert one.state(TWO) == ("up", True)
    for left in (2, 1, 0):
        assert one.out == set()
        one.until_due(TWO)
        one.check(p1=None, p2=BAD)
        assert one.state(TWO)[0] == ("up" if left else "down")
    assert one.out == {TWO}
    assert one.told[-1] == (
        f"warn endpoint.health: endpoint {TWO} of upstream app is down: its checks got an "
        "unexpected status (the status is 500)"
    )
    told = one.table.told()["app"][1][TWO]
    assert (told.reason, told.passed, told.failed) == ("check-status", 1, 3)
    assert told.why.endswith("; the last check found: the status is 500")
    for _ in range(2):
        one.until_due(TWO)
        one.check(p1=None, p2=None)
    assert one.out == set()


def test_a_check_that_is_under_way_does_not_begin_again() -> None:
    one = Checked()
    one.serve(app(ONE))
    (begun,) = one.table.due()
    assert one.table.due() == []
    assert one.table.next_ms() is None
    one.serve(app(ONE, TWO))
    assert [member.target for member, _ in one.table.due()] == [TWO]
    one.table.result(begun[0], None, one.now)
    assert one.state(ONE) == ("up", True), "its result counts after a reload, too"


def test_a_result_of_an_endpoint_that_is_gone_changes_nothing() -> None:
    one = Checked()
    one.serve(app(ONE))
    ((member, _),) = one.table.due()
    one.serve(app(TWO))
    assert not one.table.result(member, BAD, one.now)
    assert one.told == []


def test_below_the_threshold_everybody_takes_requests_and_panic_ends_by_time() -> None:
    one = Checked()
    one.serve(app(ONE))
    one.check(p1=BAD)
    assert one.state(ONE) == ("down", True)
    assert one.out == set()
    assert one.told[-1].startswith("warn upstream.panic: upstream app is in panic: 0 of 1 ")
    assert one.table.told()["app"][0]
    for _ in range(2):
        one.until_due(ONE)
        one.check(p1=None)
    assert not one.table.turn()
    one.now += 10_000
    assert one.table.turn()
    assert one.told[-1] == "info upstream.panic: upstream app is no longer in panic"


def test_without_a_threshold_the_last_endpoint_is_out_as_well() -> None:
    one = Checked()
    one.serve(app(ONE, below=0))
    one.check(p1=BAD)
    assert one.out == {ONE}


def test_what_is_known_survives_a_reload_but_not_the_end_of_the_checks() -> None:
    one = Checked()
    one.serve(app(ONE, TWO, below=0))
    one.check(p1=None, p2=BAD)
    more = app(ONE, TWO, THREE, below=0)
    assert one.table.out(plan(more), {}) == {"app": frozenset((TWO, THREE))}
    one.serve(more)
    assert one.out == {TWO, THREE}, "one that nobody has checked yet waits"
    one.serve(app(ONE, TWO, check=None))
    assert one.out == set()
    assert one.table.due() == []


def test_an_order_wins_over_checks_and_waits_for_an_endpoint_to_come() -> None:
    one = Checked()
    one.serve(app(ONE, TWO))
    one.check(p1=None, p2=None)
    assert one.table.order("app", TWO, "drain")
    assert not one.table.order("app", TWO, "drain"), "it is no news"
    assert one.out == {TWO}
    assert one.state(TWO) == ("drain", False)
    assert one.told[-1] == (
        f"info endpoint.order: an operator set endpoint {TWO} of upstream app to drain"
    )
    one.serve(app(ONE))
    one.serve(app(ONE, TWO))
    assert one.state(TWO) == ("drain", False)
    assert one.table.order("app", TWO, "ready")
    assert one.table.orders == {}
    assert one.table.find("app", TWO) == ""
    assert one.table.find("app", THREE) == f"the upstream `app` has no endpoint `{THREE}`"
    assert one.table.find("nope", TWO) == "there is no upstream `nope`"


def test_each_address_of_a_name_is_checked_and_the_name_is_told_as_one() -> None:
    one = Checked()
    one.serve(app("app.internal:1"), {"app.internal": ("10.0.0.1", "10.0.0.2")})
    results = iter([None, BAD])
    for member, _ in one.table.due():
        one.table.result(member, next(results), one.now)
    assert one.out == {"10.0.0.2:1"}
    told = one.table.told()["app"][1]["app.internal:1"]
    assert (told.state, told.takes, told.passed, told.failed) == ("degraded", True, 1, 1)
    assert "10.0.0.2:1 takes no traffic: its checks fail" in told.why


def test_an_endpoint_without_weight_is_told_and_in_no_list() -> None:
    one = Checked()
    one.serve(Upstream((Endpoint(ONE), Endpoint(TWO, weight=0)), health=Health(check=CHECK)))
    assert one.out == set()
    assert one.table.told()["app"][1][TWO].why == "takes no traffic: its weight is 0"


SHARE = "too large a part of its answers failed"
NO_SHARE = OutlierDetection(shares=OutlierShares(failure_percent=0))
OUTLIERS = OutlierDetection(consecutive_local=2, ejection_ms=1_000, max_ejection_ms=4_000)


def ejecting(*addresses: str, policy: OutlierDetection = OUTLIERS) -> Upstream:
    """An upstream whose requests may eject these endpoints."""
    return Upstream(tuple(map(Endpoint, addresses)), health=Health(outliers=policy))


class Requests(Checked):
    """A table that is told how requests ended."""

    def end(self, at: str, *outcomes: str, began_ms: int | None = None) -> None:
        """Lets requests end at an endpoint, by default those that began just now."""
        for outcome in outcomes:
            began = self.now if began_ms is None else began_ms
            self.table.ended("app", Ended(at, outcome, began))


def test_requests_in_a_row_without_an_answer_eject_and_a_good_one_brings_back() -> None:
    one = Requests()
    one.serve(ejecting(ONE, TWO))
    assert one.table.ejecting == {"app"}
    one.end(TWO, "connect", "ok", "reset")
    assert one.out == set()
    one.end(TWO, "cancelled", "timeout")
    assert one.out == {TWO}
    assert one.state(TWO) == ("ejected", False)
    assert one.told[-1] == (
        f"warn endpoint.outlier: endpoint {TWO} of upstream app is ejected: too many requests in "
        "a row got no answer from it"
    )
    assert not one.table.turn()
    one.now += 1_100
    assert one.table.turn()
    assert one.out == set(), "the next request probes it"
    before = one.now
    one.now += 10
    one.end(TWO, "ok", began_ms=before - 1)
    assert one.state(TWO)[0] == "probing", "that one began before"
    one.end(TWO, "cancelled")
    assert one.state(TWO)[0] == "probing", "that one says nothing"
    one.end(TWO, "ok")
    assert one.state(TWO) == ("up", True)
    assert one.told[-1].startswith(f"info endpoint.outlier: endpoint {TWO} of upstream app is back")


def test_requests_from_before_an_ejection_say_nothing_of_who_is_back() -> None:
    one = Requests()
    one.serve(ejecting(ONE, TWO))
    before = one.now
    one.end(TWO, "timeout", "timeout")
    assert one.out == {TWO}
    one.table.turn()
    one.now += 1_100
    assert one.table.turn()
    one.end(TWO, "ok")
    assert one.state(TWO) == ("up", True)
    one.now += 30_000
    one.end(TWO, *["timeout"] * 9, began_ms=before)
    assert one.state(TWO) == ("up", True)
    one.end(TWO, "timeout", "timeout")
    assert one.state(TWO) == ("ejected", False)


def test_a_probe_that_fails_ejects_for_longer() -> None:
    one = Requests()
    one.serve(ejecting(ONE, TWO))
    one.end(TWO, "reset", "reset")
    one.table.turn()
    one.now += 1_100
    assert one.table.turn()
    one.end(TWO, "gateway")
    assert one.out == {TWO}
    one.table.turn()
    one.now += 1_100
    assert not one.table.turn()
    one.now += 1_000
    assert one.table.turn()


def test_neither_the_last_endpoint_is_ejected_nor_more_than_allowed() -> None:
    one = Requests()
    one.serve(ejecting(ONE))
    one.end(ONE, *["connect"] * 9)
    assert one.out == set()
    assert [text for text in one.told if "is not ejected" in text] == one.told[:1]
    assert len(one.told) == 1, "it is said once"
    one.serve(ejecting(ONE, TWO, THREE))
    for at in (TWO, THREE):
        one.end(at, "connect", "connect")
    assert one.out == {TWO}, "a third of three is below half"
    dry = Requests()
    dry.serve(ejecting(ONE, TWO, policy=OutlierDetection(consecutive_local=1, enforce_percent=0)))
    dry.end(TWO, "connect")
    assert dry.out == set()
    assert "does not enforce" in dry.told[-1]
    dry.end(TWO, "connect")
    assert dry.table.told()["app"].outliers == {"ejected": 0, "dry_run": 2, "limit": 0}


def test_half_of_many_requests_that_fail_eject() -> None:
    one = Requests()
    one.serve(ejecting(ONE, TWO))
    one.end(TWO, *["ok", "5xx"] * 9)
    assert not one.table.turn()
    one.end(TWO, "limited", "ok")
    assert one.table.turn()
    assert one.out == {TWO}
    assert one.told[-1].endswith(f"endpoint {TWO} of upstream app is ejected: {SHARE}")
    off = Requests()
    off.serve(ejecting(ONE, TWO, policy=NO_SHARE))
    off.end(TWO, *["ok", "5xx"] * 20)
    assert not off.table.turn()


def test_one_far_below_the_others_is_ejected() -> None:
    one = Requests()
    addresses = [f"10.0.0.{n}:80" for n in range(1, 11)]
    one.serve(ejecting(*addresses, policy=NO_SHARE))
    for at in addresses:
        bad = 20 if at == addresses[3] else 0
        one.end(at, *["ok", "5xx"] * bad, *["ok"] * (100 - 2 * bad))
    assert one.table.turn()
    assert one.out == {addresses[3]}
    assert one.told[-1].endswith("its success rate was far below that of the other endpoints")


def test_without_outlier_detection_nothing_stays_ejected() -> None:
    one = Requests()
    one.serve(ejecting(ONE, TWO))
    one.end(TWO, "5xx", "5xx", "5xx", "5xx", "5xx")
    assert one.out == {TWO}
    one.serve(app(ONE, TWO, check=None))
    assert one.out == set()
    assert one.table.ejecting == frozenset()


def breaking(policy: CircuitBreaker) -> Upstream:
    """An upstream of two endpoints with breakers."""
    return Upstream(tuple(map(Endpoint, (ONE, TWO))), health=Health(breaker=policy))


def test_a_breaker_opens_after_failures_in_a_row_and_closes_after_successes() -> None:
    one = Requests()
    one.serve(breaking(CircuitBreaker(failures=2, open_ms=5_000, successes=2)))
    assert one.table.ejecting == {"app"}
    one.end(TWO, "5xx", "ok", "5xx")
    assert one.out == set()
    one.end(TWO, "5xx")
    assert one.out == {TWO}
    assert one.state(TWO) == ("breaker-open", False)
    assert one.table.told()["app"].breakers == {"closed": 1, "half-open": 0, "open": 1}
    assert "it is tried again in 5 s" in one.table.told()["app"][1][TWO].why
    assert one.told == [
        f"warn endpoint.breaker: endpoint {TWO} of upstream app gets no requests: its breaker "
        "opened after too many failures in a row"
    ]
    one.now += 4_999
    assert not one.table.turn()
    one.now += 1
    assert one.table.turn()
    assert one.state(TWO) == ("breaker-half-open", True)
    one.end(TWO, "5xx", began_ms=one.now - 1)
    assert one.out == set(), "that one began before"
    one.end(TWO, "ok", "ok")
    assert one.state(TWO) == ("up", True)
    assert one.table.told()["app"].opened == 1
    assert [text.split(":")[0] for text in one.told] == [
        "warn endpoint.breaker",
        "info endpoint.breaker",
        "info endpoint.breaker",
    ]


def test_requests_from_before_a_breaker_opened_say_nothing_once_it_has_closed() -> None:
    one = Requests()
    one.serve(breaking(CircuitBreaker(failures=2, open_ms=5_000, successes=1)))
    before = one.now
    one.end(TWO, "timeout", "timeout")
    one.now += 5_000
    assert one.table.turn()
    one.end(TWO, "ok")
    assert one.state(TWO) == ("up", True)
    one.now += 30_000
    one.end(TWO, *["timeout"] * 9, began_ms=before)
    assert one.state(TWO) == ("up", True)
    one.end(TWO, "timeout", "timeout")
    assert one.state(TWO) == ("breaker-open", False)


def test_a_failure_while_it_is_half_open_opens_a_breaker_again() -> None:
    one = Requests()
    one.serve(breaking(CircuitBreaker(failures=1, open_ms=1_000)))
    one.end(TWO, "timeout")
    one.now += 1_000
    assert one.table.turn()
    one.end(TWO, "connect")
    assert one.out == {TWO}
    one.serve(app(ONE, TWO, check=None))
    assert one.out == set(), "the config has no breaker any more"


def test_a_share_of_failed_or_slow_requests_opens_a_breaker() -> None:
    one = Requests()
    shares = CircuitBreaker(failures=0, error_percent=50, slow_percent=50, slow_ms=100, requests=4)
    one.serve(breaking(shares))
    one.end(ONE, "ok", "5xx", "ok")
    assert not one.table.turn()
    one.end(ONE, "5xx")
    assert one.table.turn()
    assert one.out == {ONE}
    for _ in range(4):
        one.table.ended("app", Ended(TWO, "ok", one.now, 101))
    assert one.table.turn()
    assert one.out == {ONE, TWO}
    assert "too many of its answers were slow" in one.told[-1]


def test_what_an_earlier_process_found_is_known_of_the_first_plan_alone() -> None:
    first = Checked()
    first.serve(app(ONE, TWO))
    first.check(p1=None, p2=BAD)
    assert first.table.concluded() == {("app", ONE): None, ("app", TWO): BAD}
    second = Checked()
    second.table.known = first.table.concluded()
    assert second.table.out(plan(app(ONE, TWO)), {}) == {"app": frozenset({TWO})}
    second.serve(app(ONE, TWO))
    assert second.out == {TWO}
    assert second.table.told()["app"][1][TWO].reason == "check-status"
    for _ in range(2):
        second.until_due(TWO)
        second.check(p1=None, p2=None)
    assert second.out == set()
    second.serve(app(ONE))
    second.serve(app(ONE, TWO))
    assert second.state(TWO)[0] == "unknown", "it is news by now"
    newer = Checked()
    newer.table.known = {("app", ONE): Failure("check-of-tomorrow", "?"), ("app", TWO): BAD}
    newer.serve(app(ONE, TWO))
    assert newer.state(ONE)[0] == "unknown"
    assert newer.table.told()["app"][1][TWO].reason == "check-status"
    unchecked = Checked()
    unchecked.table.known = first.table.concluded()
    unchecked.serve(app(ONE, TWO, check=None))
    assert unchecked.out == set()
