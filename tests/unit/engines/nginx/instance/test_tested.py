"""What `nginx -t` prints, understood: levels, places, both of its line formats."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.nginx.instance.sandbox import Ran
from headgate.engines.nginx.instance.tested import understood


def ran(said: str, code: int = 1, *, timed_out: bool = False) -> Ran:
    """A run of nginx."""
    return Ran(code, said, "", timed_out)


def test_success_is_ok_and_its_words_are_neither_problem_nor_warning() -> None:
    said = "nginx: the configuration file /x syntax is ok\nnginx: … test is successful\n"
    tested = understood(ran(said, 0))
    assert (tested.ok, tested.problems, tested.warnings) == (True, (), ())


def test_an_error_that_is_told_twice_is_one_problem_with_its_place() -> None:
    said = (
        '2026/11/20 12:00:00 [emerg] 7#7: unknown directive "x" in /etc/nginx/nginx.conf:3\n'
        'nginx: [emerg] unknown directive "x" in /etc/nginx/nginx.conf:3\n'
        "nginx: configuration file /etc/nginx/nginx.conf test failed\n"
    )
    tested = understood(ran(said))
    assert not tested.ok
    assert tested.problems == ('unknown directive "x" in /etc/nginx/nginx.conf:3',)


def test_a_warning_does_not_fail_a_test_but_one_that_loses_traffic_does() -> None:
    harmless = 'nginx: [warn] "ssl_stapling" ignored, no OCSP responder\n'
    assert understood(ran(harmless, 0)).ok
    assert understood(ran(harmless, 0)).warnings == ('"ssl_stapling" ignored, no OCSP responder',)
    losing = 'nginx: [warn] conflicting server name "a" on 0.0.0.0:80, ignored\n'
    tested = understood(ran(losing, 0))
    assert not tested.ok
    assert tested.problems == ('conflicting server name "a" on 0.0.0.0:80, ignored',)


def test_an_exit_code_without_words_is_told_by_its_last_line() -> None:
    assert understood(ran("Segmentation fault\n", -11)).problems == (
        "nginx -t ended with -11: Segmentation fault",
    )
    assert understood(ran("", 127)).problems == ("nginx -t ended with 127",)


def test_a_test_that_does_not_end_is_a_problem() -> None:
    tested = understood(ran("", -9, timed_out=True))
    assert not tested.ok
    assert "nginx -t did not end in time" in tested.problems


def test_a_port_we_may_not_bind_says_nothing_of_the_config() -> None:
    said = "nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)\n"
    assert not understood(ran(said)).ok
    tested = understood(ran(said), may_bind=False)
    assert tested.ok
    assert tested.warnings == ("the test ended at the sockets: headgate may not bind 0.0.0.0:80",)


def test_a_refused_port_hides_no_other_problem() -> None:
    said = (
        "nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)\n"
        'nginx: [emerg] open() "/x" failed (2: No such file or directory)\n'
    )
    tested = understood(ran(said), may_bind=False)
    assert not tested.ok
    assert tested.problems == ('open() "/x" failed (2: No such file or directory)',)


@given(st.text(), st.integers(-64, 255), st.booleans())
def test_whatever_it_says_a_failed_run_is_never_ok(said: str, code: int, may_bind: bool) -> None:
    tested = understood(ran(said, code), may_bind=may_bind)
    if code != 0 and may_bind:
        assert not tested.ok
        assert tested.problems
    assert tested.ok == (not tested.problems)
