"""Which routes of one name another one may go before: all that `may_go_before` says, in order."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.compile.closed import CLOSED
from headgate.compile.takers import Taker, Takers, may_go_before
from headgate.plan.objects import Match, PathMatch, Route
from headgate.plan.plan import entry
from headgate.plan.tcp import TcpRoute

PATHS = ("", "/", "/a", "/a/", "/a/b", "/ab", "/b/c")

matches = st.one_of(
    st.builds(Match, path=st.builds(PathMatch, prefix=st.sampled_from(PATHS))),
    st.sampled_from(
        (Match(), Match(path=PathMatch(exact="/a")), Match(path=PathMatch(regex="/a.*")))
    ),
)
http = st.builds(
    Route,
    hosts=st.just(("a.example",)),
    listeners=st.just(("web",)),
    action=st.just(CLOSED),
    match=st.lists(matches, max_size=2).map(tuple),
    priority=st.sampled_from((0, 0, 0, 1)),
)
tcp = st.builds(TcpRoute, listeners=st.just(("web",)), upstream=st.just("u"))
routes = st.one_of(http, http, http, tcp)


@given(st.lists(st.tuples(routes, st.booleans()), max_size=8), routes)
def test_all_open_ones_that_it_may_go_before_are_found(
    known: list[tuple[Route | TcpRoute, bool]], route: Route | TcpRoute
) -> None:
    takers = Takers()
    every = [
        Taker(entry("route", f"r{n}", one), one, is_open=is_open)
        for n, (one, is_open) in enumerate(known)
    ]
    for taker in every:
        takers.add(taker)
    open_ = [one for one in every if one.is_open]
    assert takers.every == every
    assert takers.open() == open_
    wanted = [one for one in open_ if may_go_before(route, one.route)]
    assert [id(one) for one in takers.beside(route)] == [id(one) for one in wanted]
