"""The line that says why a generation does not serve."""

from dataclasses import replace

from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.results import Rejected
from headgate.engines.nginx.releases.names import ReleaseName

BARE = Finding("system", "no space left")
REFUSED = Rejected(7, "test", BARE)


def test_what_is_known_of_the_place_is_said() -> None:
    def said(cause: Finding) -> str:
        return replace(REFUSED, cause=cause).text().removeprefix("generation 7 refused at test: ")

    assert said(BARE) == "no space left"
    assert said(replace(BARE, file="a.conf")) == "a.conf: no space left"
    assert said(replace(BARE, file="a.conf", line=3)) == "a.conf:3: no space left"
    placed = replace(BARE, file="a.conf", line=3, object="route shop")
    assert said(placed) == "route shop: a.conf:3: no space left"


def test_only_where_nothing_serves_it_says_so() -> None:
    lost = "; NO RELEASE IS PROVEN TO SERVE"
    serving = ReleaseName(6, "0" * 12)
    assert not REFUSED.text().endswith(lost)
    assert replace(REFUSED, is_degraded=True).text().endswith(lost)
    assert not replace(REFUSED, is_degraded=True, serving=serving).text().endswith(lost)
    assert not replace(REFUSED, serving=serving).text().endswith(lost)


def test_it_may_pass_by_itself_where_its_cause_may() -> None:
    assert not REFUSED.is_transient
    assert replace(REFUSED, cause=replace(BARE, is_transient=True)).is_transient
