"""`agent_check`: what it becomes in the plan, and what is refused with its place."""

import pytest
from one_upstream import loaded, upstream

from headgate.plan.objects import AgentCheck


def test_an_agent_reaches_the_plan_and_takes_the_cores_defaults() -> None:
    assert upstream("agent_check = { port = 9999 }").health.agent == AgentCheck(port=9_999)
    assert upstream("").health.agent is None
    made = upstream(
        'health_check = {}\nagent_check = { port = 1, send = "a\\n", interval = "9s", '
        'timeout = "9s" }'
    )
    wanted = AgentCheck(port=1, send="a\n", interval_ms=9_000, timeout_ms=9_000)
    assert made.health.agent == wanted
    assert made.health.check is not None


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("{}", "port"),
        ("{ port = 0 }", "port"),
        ("{ port = 65536 }", "port"),
        ("{ port = 9, send = 3 }", "3 is not text; write text of at most 1024 bytes"),
        (f'{{ port = 9, send = "{"x" * 1025}" }}', "the text has 1025 bytes; write text of at"),
        (
            '{ port = 9, interval = "1s", timeout = "2s" }',
            "the timeout is longer than the interval",
        ),
        ('{ port = 9, interval = "500ms" }', "the timeout is longer than the interval"),
        ('{ port = 9, sent = "x" }', "send"),
    ],
)
def test_what_no_agent_can_be_asked_is_refused(keys: str, said: str) -> None:
    (error,) = loaded(f"agent_check = {keys}").errors
    assert said in str(error)


def test_a_unix_socket_has_no_port_for_an_agent() -> None:
    other = '[upstreams.v]\nendpoints = ["127.0.0.1:1", "unix:/run/a.sock"]\n'
    (error,) = loaded(other + "agent_check = { port = 9 }").errors
    assert "endpoints[1]: " in str(error)
    assert "has no port, and `agent_check` asks a port of its host" in str(error)
