"""Looks at an nginx: workers by their identity, its answers, and its log since the mark."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from headgate.engines.nginx.apply import probes, statussocket
from headgate.engines.nginx.apply.errorlog import LogMark
from headgate.engines.nginx.apply.evidence import Expectation, LogLine, LogSeen, Observation
from headgate.engines.nginx.apply.looking import Looker
from headgate.engines.nginx.common.types import Instance, Process

AT = "2026/01/02 03:04:05"
OURS = f"{AT} [emerg] 42#42: ours"
OTHERS = f"{AT} [emerg] 43#43: of another master"


class World:
    """A pretended nginx with a real log; `answers` are those of its status socket in turn."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "error.log"
        self.log.write_text(f"{OURS} before the mark\n")
        self.its_master: Process | None = Process(42, 1)
        self.its_workers: tuple[Process, ...] = (Process(2, 5), Process(3, 5))
        self.answers: Iterable[int | None] = ()
        self.asked: list[str] = []
        self.looker = Looker(cast(Instance, self), str(self.log), "status.sock")

    def master(self) -> Process | None:
        return self.its_master

    def workers(self) -> tuple[Process, ...]:
        return self.its_workers

    def ask(self, path: str) -> SimpleNamespace | None:
        self.asked.append(path)
        number = [*self.answers, *[7] * 99][len(self.asked) - 1]
        return None if number is None else SimpleNamespace(generation=number)

    def logs(self, *lines: str) -> None:
        with self.log.open("a") as log:
            log.write("".join(f"{line}\n" for line in lines))

    def open_logs(self) -> int:
        """How many descriptors of this process are of the log."""
        links = []
        for one in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # that of the listing itself
                links.append(one.readlink())
        return links.count(self.log)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    one = World(tmp_path)
    monkeypatch.setattr(statussocket, "ask", one.ask)
    monkeypatch.setattr(probes, "knock", lambda expected: (f"of {expected.generation}",))
    return one


def of(*processes: Process) -> frozenset[Process]:
    return frozenset(processes)


def test_workers_are_told_apart_by_pid_and_start_not_by_their_state(world: World) -> None:
    world.its_workers = (Process(2, 5), Process(3, 5), Process(4, 5, shutting_down=True))
    world.looker.mark()
    stays, leaves = Process(3, 5), Process(2, 5, shutting_down=True)
    fresh, with_an_old_pid = Process(10, 9), Process(4, 9)
    world.its_workers = (leaves, stays, fresh, with_an_old_pid)
    assert world.looker.look(Expectation(7, workers=3)) == Observation(
        has_master=True,
        new=of(fresh, with_an_old_pid),
        old=of(stays),
        draining=of(leaves),
        before=frozenset({2, 3, 4}),
        answers=(7,) * 8,
        log=LogSeen(),
        faults=None,
    )
    assert set(world.asked) == {"status.sock"}


def test_nobody_is_asked_where_no_worker_accepts(world: World) -> None:
    world.looker.mark()
    world.its_master, world.its_workers = None, (Process(2, 5, shutting_down=True),)
    seen = world.looker.look(Expectation(7, workers=2))
    assert (seen.has_master, seen.new | seen.old, seen.answers) == (False, of(), ())
    assert world.asked == []


@pytest.mark.parametrize(("workers", "questions"), [(1, 4), (2, 6), (7, 16), (64, 16)])
def test_it_asks_often_enough_to_meet_every_worker(
    world: World, workers: int, questions: int
) -> None:
    world.looker.mark()
    world.looker.look(Expectation(7, workers))
    assert len(world.asked) == questions


@pytest.mark.parametrize("answers", [(6,), (7, 6), (None,), (7, 7, None)])
def test_it_asks_no_more_once_an_answer_is_wrong(
    world: World, answers: tuple[int | None, ...]
) -> None:
    world.answers = answers
    world.looker.mark()
    assert world.looker.look(Expectation(7, workers=2)).answers == answers


def test_the_generations_that_answer_are_all_told(world: World) -> None:
    world.answers = (6, None, 7, 6)
    assert world.looker.generations() == (6, None, 7, 6)
    world.answers, world.asked = (6, 7), []
    assert world.looker.generations(2) == (6, 7)


def test_listeners_names_and_probes_are_tried_on_demand_only(world: World) -> None:
    world.looker.mark()
    expected = Expectation(7, workers=1)
    assert world.looker.look(expected).faults is None
    assert world.looker.look(expected, deep=True).faults == ("of 7",)


def test_the_log_counts_from_the_mark_on_and_for_its_master_only(world: World) -> None:
    mark = world.looker.mark()
    assert mark == LogMark(world.log.stat().st_ino, world.log.stat().st_size)
    world.logs(OURS, OTHERS)
    world.its_master = Process(43, 9)
    assert world.looker.look(Expectation(7, 1)).log == LogSeen((LogLine("emerg", OURS),))


def test_the_log_of_an_nginx_that_starts_counts_for_any_master(world: World) -> None:
    world.its_master = None
    world.looker.mark()
    world.logs(OURS, OTHERS)
    lines = world.looker.look(Expectation(7, 1)).log.lines
    assert [line.text for line in lines] == [OURS, OTHERS]


def test_after_a_crash_every_worker_is_new_and_the_log_goes_on_from_the_journal(
    world: World,
) -> None:
    mark = world.looker.mark()
    world.logs(OURS)
    assert world.looker.mark(mark, all_are_new=True) == mark
    seen = world.looker.look(Expectation(7, 1))
    assert (seen.new, seen.old, seen.before) == (of(*world.its_workers), of(), frozenset())
    assert [line.text for line in seen.log.lines] == [OURS]


def test_it_holds_the_log_of_its_last_mark_only_until_it_is_closed(world: World) -> None:
    for _ in range(2):
        world.looker.mark()
        assert world.open_logs() == 1
    for _ in range(2):
        world.looker.close()
        assert world.open_logs() == 0
    with pytest.raises(ValueError, match="no mark was set"):
        world.looker.look(Expectation(7, 1))
