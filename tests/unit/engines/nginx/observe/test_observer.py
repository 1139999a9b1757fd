"""Logs, status and processes of one instance, gathered to a page."""

from pathlib import Path

from headgate.engines.nginx.observe.log_format import COMBINED, LogFormat
from headgate.engines.nginx.observe.observer import AccessLog, Observer, Sources
from headgate.node.exposition import text
from headgate.node.samples import Samples, parse

_JSON = '{"route":"api","method":"GET","status":"200","total_s":"0.001"}\n'
_COMBINED = '::1 - - [x] "GET / HTTP/1.1" 404 1 "-" "-"\n'
_ALERT = "2026/11/20 08:59:02 [alert] 12#12: 9 worker_connections are not enough\n"


def _page(observer: Observer) -> Samples:
    return parse("".join(text(family) for family in observer.page(desired=4)))


def test_several_logs_of_several_formats_are_one_traffic(tmp_path: Path) -> None:
    ours, theirs, errors = (tmp_path / name for name in ("a.log", "b.log", "error.log"))
    for log in (ours, theirs, errors):
        log.write_text("")
    sources = Sources(
        [AccessLog(str(ours)), AccessLog(str(theirs), LogFormat(COMBINED, site="b.example"))],
        [str(errors)],
    )
    observer = Observer(sources, clock=lambda: 0.0)
    assert observer.poll() == []
    ours.write_text(_JSON * 2 + "nonsense\n")
    theirs.write_text(_COMBINED)
    errors.write_text(_ALERT)
    assert [told.line.kind for told in observer.poll()] == ["connections_exhausted"]
    page = _page(observer)
    assert page.total("http_requests_total") == 3
    assert page.total("headgate_site_requests_total") == 1
    assert page.total("headgate_nginx_access_log_unread_total") == 1
    assert page.total("headgate_nginx_failures_total") == 1
    observer.close()


def test_the_page_has_the_bounds_of_the_config(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(_JSON)
    observer = Observer(Sources([AccessLog(str(log))]), start="start")
    observer.poll()
    before = _page(observer).buckets("http_request_duration_seconds")
    observer.bounds_s = (0.0005, 4.1)
    log.write_text(_JSON * 3)
    observer.poll()
    page = _page(observer)
    assert before[0.001] == before[float("inf")] == 1
    expected = {0.0005: 0, 4.1: 3, float("inf"): 3}
    assert page.buckets("http_request_duration_seconds") == expected
    assert page.buckets("headgate_route_duration_seconds") == expected
    observer.close()


def test_what_cannot_be_asked_is_a_problem_and_costs_the_rest_nothing(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.sock")
    sources = Sources(
        [AccessLog(str(tmp_path))], stub_status=f"unix:{gone}:/stub", generation_socket=gone
    )
    observer = Observer(sources)
    observer.poll()
    page = _page(observer)
    assert page.total("headgate_nginx_generation") == 4
    assert set(observer.problems) == {str(tmp_path), "stub_status", "generation"}
