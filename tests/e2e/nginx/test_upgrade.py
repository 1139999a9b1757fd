"""Another binary under load: USR2, proof, WINCH, soak, QUIT, and the ways back."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from nginx_alive import AliveNginx
from running_node import Load
from waiting import DEADLINE_S, until

from headgate.engines.nginx.common.types import Process
from headgate.engines.nginx.instance.find import pid_file
from headgate.engines.nginx.upgrade import State, Times, upgrade

TIMES = Times(start=DEADLINE_S, prove=DEADLINE_S, soak=0.3, leave=DEADLINE_S)


@pytest.fixture
def copied(folder: Path, binary: Path) -> Iterator[AliveNginx]:
    """A running nginx whose binary is a copy of its own, so that it may be replaced."""
    own = folder / "nginx"
    own.write_bytes(binary.read_bytes())
    own.chmod(0o755)
    with AliveNginx(folder, own) as nginx:
        yield nginx


def replace_binary(nginx: AliveNginx, content: bytes) -> None:
    """Puts another file in the binary's place, as a package does."""
    fresh = nginx.folder / "nginx.new"
    fresh.write_bytes(content)
    fresh.chmod(0o755)
    fresh.replace(nginx.binary)


def answers_from(nginx: AliveNginx, master: Process) -> bool:
    """Whether one fresh connection to the status socket is answered by a worker of this master."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(DEADLINE_S)
            client.connect(str(nginx.socket))
            client.sendall(b"GET /generation HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(4096), b""))
    except OSError:
        return False
    words = answer.split()  # none of a worker that was sent away meanwhile
    children = {child.pid for child in nginx.instance.procfs.children(master.pid)}
    return bool(words) and int(words[-1]) in children


def test_the_binary_is_replaced_and_no_request_is_lost(copied: AliveNginx) -> None:
    before = copied.instance.master()
    replace_binary(copied, copied.binary.read_bytes() + b"\0")
    with Load(copied.port, connections=2) as load:
        done = upgrade(copied.instance, lambda new: answers_from(copied, new), TIMES)
    after = copied.instance.master()
    assert (done.state, done.why) == (State.DONE, "")
    assert before is not None
    assert after is not None
    assert after.pid != before.pid
    assert not copied.instance.is_upgrading()
    assert copied.instance.running_digest() == copied.instance.binary_digest()
    # A keep-alive connection that its worker closes while a request is under way is nginx's own
    # loss on every reload; nothing else may be lost.
    assert load.lost == []
    # Each of two clients may come to the other old worker before that one knows of its end.
    assert len(load.failures) <= 4
    assert copied.socket.exists()
    assert answers_from(copied, after)


def test_while_two_masters_run_it_is_said_and_workers_of_both_are_known(
    copied: AliveNginx,
) -> None:
    old = copied.instance.master()
    seen: list[bool] = []

    def look(new: Process) -> bool:
        if not seen:
            until(lambda: len(copied.instance.workers()) == 4, "workers of both")
        seen.append(copied.instance.is_upgrading())
        assert copied.instance.old_master() == old
        return answers_from(copied, new)

    assert upgrade(copied.instance, look, TIMES).state is State.DONE
    assert all(seen)


def test_a_binary_that_does_not_serve_is_undone_and_the_old_one_serves_on(
    copied: AliveNginx,
) -> None:
    before = copied.instance.master()
    times = Times(start=DEADLINE_S, prove=0.3, soak=0.3, leave=DEADLINE_S)
    with Load(copied.port, connections=2) as load:
        done = upgrade(copied.instance, lambda _: False, times)
    assert done.state is State.UNDONE
    assert done.why == "the new binary's workers did not answer in time"
    until(lambda: copied.instance.master() == before, "the old master alone")
    until(lambda: len(copied.instance.workers()) == 2, "its workers")
    assert copied.body() == "one"
    assert before is not None
    # The old master puts its pid file back once it knows of the new one's end.
    until(lambda: pid_file(str(copied.place.pid_path)) == before.pid, "its pid file")
    assert load.lost == []
    # Each of two clients may come to both of the new workers as these are sent away.
    assert len(load.failures) <= 4
    assert answers_from(copied, before)


def test_a_binary_that_fails_in_the_soak_is_undone(copied: AliveNginx) -> None:
    before = copied.instance.master()
    answers = iter([True])
    times = Times(start=DEADLINE_S, prove=DEADLINE_S, soak=DEADLINE_S, leave=DEADLINE_S)
    done = upgrade(copied.instance, lambda _: next(answers, False), times)
    assert done.state is State.UNDONE
    assert done.why == "the new binary's workers stopped answering"
    until(lambda: len(copied.instance.workers()) == 2, "the old workers again")
    assert copied.instance.master() == before
    assert copied.body() == "one"


def test_a_new_master_that_dies_in_the_soak_leaves_the_old_one_with_its_workers(
    copied: AliveNginx,
) -> None:
    before = copied.instance.master()
    calls = iter(range(1000))

    def dies_later(new: Process) -> bool:
        if next(calls) == 2:
            copied.instance.signal_to(new, "TERM")
        return True

    done = upgrade(
        copied.instance,
        dies_later,
        Times(start=DEADLINE_S, prove=DEADLINE_S, soak=DEADLINE_S, leave=DEADLINE_S),
    )
    assert (done.state, done.why) == (State.UNDONE, "the new master ended during the soak")
    until(lambda: copied.instance.master() == before, "the old master alone")
    until(lambda: len(copied.instance.workers()) == 2, "its workers, once")
    assert copied.body() == "one"


def test_a_file_that_is_no_nginx_is_refused_before_anything_is_signalled(
    copied: AliveNginx,
) -> None:
    before = copied.instance.master()
    workers = copied.instance.workers()
    replace_binary(copied, b"#!/bin/sh\necho broken >&2\nexit 3\n")
    done = upgrade(copied.instance, lambda _: True, TIMES)
    assert (done.state, done.why) == (State.NOT_STARTED, "nginx -t ended with 3: broken")
    assert copied.instance.master() == before
    assert copied.instance.workers() == workers


def test_an_upgrade_that_was_interrupted_is_finished_by_the_next_run(copied: AliveNginx) -> None:
    before = copied.instance.master()

    def dies(_: Process) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upgrade(copied.instance, dies, TIMES)
    assert copied.instance.is_upgrading()
    done = upgrade(copied.instance, lambda new: answers_from(copied, new), TIMES)
    assert done.state is State.DONE
    assert copied.instance.master() != before
    assert not copied.instance.is_upgrading()


def test_an_upgrade_interrupted_after_winch_can_still_be_undone(copied: AliveNginx) -> None:
    before = copied.instance.master()
    answers = iter([True])

    def dies_in_the_soak(_: Process) -> bool:
        if next(answers, False):
            return True
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upgrade(copied.instance, dies_in_the_soak, TIMES)
    assert before is not None
    until(lambda: not copied.instance.workers_of(before), "the old workers' leaving")
    done = upgrade(copied.instance, lambda _: False, Times(prove=0.3, leave=DEADLINE_S))
    assert done.state is State.UNDONE
    until(lambda: len(copied.instance.workers()) == 2, "its workers, once")
    assert copied.instance.master() == before
    assert copied.body() == "one"
