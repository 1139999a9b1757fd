"""One table says which variable of nginx's is which field of our access logs, both ways."""

from headgate.engines.nginx.common import logged
from headgate.model.log_fields import FIELDS
from headgate.nginxtext.writer import Var


def test_every_field_is_one_of_the_model_and_there_once() -> None:
    names = [one.field for one in logged.FIELDS]
    assert len(set(names)) == len(names)
    assert set(names) <= set(FIELDS)


def test_what_is_said_both_ways_is_the_same() -> None:
    for one in logged.FIELDS:
        Var(one.variable)
        if one.is_exact:
            assert logged.exact(one.variable) is one
            assert logged.why_not(one.variable) == ""


def test_a_variable_of_nginx_that_is_made_into_another_is_none_of_the_field() -> None:
    assert logged.exact("request_time") is None
    assert "`${total_us}`" in logged.why_not("request_time")
    assert logged.exact("hg_log_total_us") is None
    assert logged.exact("hg_route") is None
    assert logged.why_not("nobody_knows") == "has no field"
