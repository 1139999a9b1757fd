"""An agent that is not root beside a root master on the same host, as the systemd units have it."""

from dataclasses import replace
from pathlib import Path

import pytest
from nginx_alive import AliveNginx
from nginx_container import WEB, as_user, run_agent, takes_namespaces
from peers import unavailable
from waiting import until


@pytest.fixture(autouse=True)
def _root() -> None:
    takes_namespaces()


def test_a_test_beside_a_root_master_uses_a_twin_and_touches_nothing(alive: AliveNginx) -> None:
    alive.write("two")
    before = sorted((path, path.stat().st_mtime_ns) for path in alive.run.iterdir())
    seen = run_agent(alive.place, *as_user(WEB, "+kill"))
    until(lambda: alive.body() == "two", "the reload")
    assert seen["isolation"] == "fence"
    assert seen["test"] == {
        "ok": True,
        "problems": [],
        "warnings": [
            'the "user" directive makes sense only if the master process runs with super-user'
            f" privileges, ignored in {alive.conf}:2"
        ],
    }
    assert seen["HUP"] is None
    after = sorted((path, path.stat().st_mtime_ns) for path in alive.run.iterdir())
    assert [path for path, _ in after] == [path for path, _ in before]


def test_without_a_twin_the_masters_own_pid_file_is_in_the_way(alive: AliveNginx) -> None:
    seen = run_agent(replace(alive.place, redirected=(), error_log=None), *as_user(WEB))
    tested = seen["test"]
    assert isinstance(tested, dict)
    assert not tested["ok"]
    assert "(13: Permission denied)" in tested["problems"][0]


def test_errors_name_the_release_and_not_the_twin(alive: AliveNginx) -> None:
    alive.write("two", "no_such_thing on;")
    tested = run_agent(alive.place, *as_user(WEB))["test"]
    assert isinstance(tested, dict)
    line = 1 + alive.conf.read_text().splitlines().index("    no_such_thing on;")
    assert tested["problems"] == [f'unknown directive "no_such_thing" in {alive.conf}:{line}']


def test_a_low_port_is_tested_with_the_right_to_bind_it_and_noted_without(
    alive: AliveNginx,
) -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 81:
        unavailable("every user may bind low ports here")
    alive.write("two", "server { listen 127.0.0.77:81; }")
    without = run_agent(alive.place, *as_user(WEB))["test"]
    assert isinstance(without, dict)
    assert without["ok"]
    assert (
        "the test ended at the sockets: headgate may not bind 127.0.0.77:81" in without["warnings"]
    )
    with_it = run_agent(alive.place, *as_user(WEB, "+net_bind_service"))["test"]
    assert isinstance(with_it, dict)
    assert with_it["ok"]
    assert not any("sockets" in one for one in with_it["warnings"])


def test_without_rights_the_missing_one_is_named(alive: AliveNginx) -> None:
    master = alive.instance.master()
    assert master is not None
    seen = run_agent(alive.place, *as_user(WEB))
    assert seen["master"] == master.pid
    assert seen["HUP"] == (
        f"right missing: SIGHUP to the nginx master {master.pid} (uid 0) was refused as uid {WEB};"
        " it takes CAP_KILL or the same uid as the master (uid 0)"
    )
