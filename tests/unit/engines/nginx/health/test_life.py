"""What the masters that are seen tell of an nginx's life."""

from headgate.engines.nginx.common.types import Process
from headgate.engines.nginx.health.life import Life

FIRST, SECOND = Process(10, 100), Process(11, 200)


def kinds(life: Life, master: Process | None, *, is_upgrading: bool = False) -> list[str]:
    return [one.kind for one in life.saw(master, is_upgrading=is_upgrading)]


def test_the_first_start_is_no_restart() -> None:
    life = Life(None)
    assert not life.is_up
    assert kinds(life, None) == []
    assert kinds(life, FIRST) == ["nginx.up"]
    assert (life.is_up, life.restarts) == (True, 0)


def test_an_end_is_told_once() -> None:
    life = Life(FIRST)
    assert kinds(life, None) == ["nginx.down"]
    assert kinds(life, None) == []
    assert not life.is_up


def test_another_master_was_started_by_others_whether_its_absence_was_seen_or_not() -> None:
    for seen in ([SECOND], [None, SECOND]):
        life = Life(FIRST)
        told = [kind for master in seen for kind in kinds(life, master)]
        assert told[-1] == "nginx.restarted_by_others"
        assert life.restarts == 1


def test_a_pid_that_is_used_again_is_another_master() -> None:
    life = Life(FIRST)
    assert kinds(life, Process(FIRST.pid, 999)) == ["nginx.restarted_by_others"]


def test_the_state_of_a_process_is_not_its_identity() -> None:
    assert kinds(Life(FIRST), Process(FIRST.pid, FIRST.started, shutting_down=True)) == []


def test_our_own_start_is_no_restart_by_others() -> None:
    life = Life(FIRST)
    life.saw(None)
    life.ours(SECOND)
    assert kinds(life, SECOND) == []
    assert (life.is_up, life.restarts) == (True, 0)


def test_a_binary_upgrade_is_no_restart_nor_is_its_end() -> None:
    life = Life(FIRST)
    assert kinds(life, SECOND, is_upgrading=True) == ["nginx.upgrading"]
    assert kinds(life, SECOND) == []
    assert kinds(life, FIRST) == ["nginx.upgrading"]
    assert life.restarts == 0
