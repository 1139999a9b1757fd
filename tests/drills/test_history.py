"""The judge of drills finds nothing in histories that are right, and each fault that is put in."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from history import (
    AGAIN,
    BACK,
    CONJURED,
    FAILED,
    FOREIGN,
    LOST,
    REPEATED,
    REVISION,
    SILENT,
    STEP_LOST,
    STEP_UNDUE,
    STRAY,
    TWICE,
    UNORDERED,
    Allowed,
    Down,
    Ended,
    History,
    Outcome,
    Request,
    Seen,
    Step,
    Timeline,
    Write,
    faults,
)

NODES = ("east", "west", "north")
SEEDS = range(40)
OUTCOMES: list[Outcome] = ["acknowledged", "acknowledged", "unknown", "refused"]


def right(chance: random.Random) -> History:
    """A history in which everything was as it must be: with kills, an undo and lost answers."""
    history = History(endpoints=dict.fromkeys(NODES, ("a", "b")))
    _written(history, chance)
    newest = _published(history, chance)
    for node in NODES:
        _served(history, chance, node, newest)
        _asked(history, chance, node)
        _upgraded(history, chance, node)
    _rolled(history, chance, newest)
    return history


def _written(history: History, chance: random.Random) -> None:
    for number in range(chance.randint(1, 4)):
        key, at, stored = f"upstreams/u{number}", 0.0, None
        for value in range(chance.randint(2, 12)):
            outcome = chance.choice(OUTCOMES)
            begun, at = at + chance.random(), at + 1 + chance.random()
            history.writes.append(Write(key, str(value), begun, at, outcome))
            if outcome == "acknowledged" or (outcome == "unknown" and chance.random() < 0.5):
                stored = str(value)
        if stored is not None:
            history.found[key] = stored


def _published(history: History, chance: random.Random) -> int:
    count = chance.randint(2, 6)
    for number in range(1, count + 1):
        key, value = f"{REVISION}{number}", f"hash{number}"
        begun = number * 10.0
        history.writes.append(Write(key, value, begun, begun + 0.2, "acknowledged"))
        history.found[key] = value
    return count


def _served(history: History, chance: random.Random, node: str, newest: int) -> None:
    at = 10.0
    for revision in range(1, newest + 1):
        for _ in range(chance.randint(1, 4)):
            history.seen.append(Seen(node, revision, at, at + 0.1))
            at += 0.2
    history.allowed.append(Allowed(newest - 1, at))
    # While it changes over, old and new answer side by side.
    history.seen.append(Seen(node, newest, at, at + 0.5))
    history.seen.append(Seen(node, newest - 1, at + 0.1, at + 0.6))
    history.seen.append(Seen(node, newest - 1, at + 1, at + 1.1))


def _asked(history: History, chance: random.Random, node: str) -> None:
    for number in range(chance.randint(3, 30)):
        begun = number / 10
        history.requests.append(Request(node, begun, begun + 0.05))
    # Both of its endpoints were broken; of those with one broken endpoint none failed.
    history.down += [Down(node, "a", 5.0, 6.0), Down(node, "b", 5.5, 7.0)]
    history.down.append(Down(node, "b", 8.0, 9.0))
    history.requests.append(Request(node, 5.6, 5.7, "no connection"))
    history.requests.append(Request(node, 8.2, 8.3))


def _upgraded(history: History, chance: random.Random, node: str) -> None:
    new = f"9.{chance.randint(1, 9)}.0"
    history.upgrades.append(Ended(node, new, new, new, (new,), (new,)))
    back = ("9.0.0",) if chance.random() < 0.5 else ()
    # One that failed to install it has nothing to put back.
    history.upgrades.append(Ended(node, "9.0.0", "9.0.0", "9.0.0", back, (new, "9.0.0")))


def _rolled(history: History, chance: random.Random, revision: int) -> None:
    texts = [("queued", f"ann asked for revision {revision}"), ("rolling", "it rolls out")]
    for wave in range(1, chance.randint(2, 4)):
        head = f"wave {wave} ({chance.choice(['1', '10%', 'label:a=b'])})"
        if wave > 1 and chance.random() < 0.3:
            texts.append(("wave", f"{head} passed: no connected agent is left for it"))
            continue
        texts.append(("wave", f"{head} begins with 1 agents"))
        if chance.random() < 0.5:
            texts.append(("resumed", "a master took the rollout over"))
        texts.append(("soak", f"{head} serves and soaks"))
        texts.append(("wave", f"{head} passed: its gates passed"))
    texts.append(("succeeded", "the fleet serves it"))
    if chance.random() < 0.5:
        texts += [("undoing", "ann undid it"), ("undone", "all is as before")]
    steps = tuple(Step(float(at), *text) for at, text in enumerate(texts))
    for length in sorted(chance.sample(range(1, len(steps)), 2)):
        history.timelines.append(Timeline("r", float(length), steps[:length]))
    history.timelines.append(Timeline("r", float(len(steps)), steps))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_history_that_is_right_has_no_faults(seed: int) -> None:
    assert faults(right(random.Random(seed))) == []  # noqa: S311


def forget_a_write(history: History, chance: random.Random) -> None:
    given = [one.key for one in history.writes if one.outcome == "acknowledged"]
    del history.found[chance.choice(given)]


def keep_an_older_write(history: History, chance: random.Random) -> None:
    history.writes += [
        Write("x", "old", 1.0, 2.0, chance.choice(["acknowledged", "unknown"])),
        Write("x", "new", 3.0, 4.0, "acknowledged"),
    ]
    history.found["x"] = "old"


def make_a_refused_write(history: History, chance: random.Random) -> None:
    history.writes.append(Write("x", str(chance.random()), 1.0, 2.0, "refused"))
    history.found["x"] = history.writes[-1].value


def give_a_revision_twice(history: History, chance: random.Random) -> None:
    given = [one for one in history.writes if one.key.startswith(REVISION)]
    history.writes.append(replace(chance.choice(given), value="other"))


def go_back(history: History, chance: random.Random) -> None:
    node = chance.choice(NODES)
    mine = [one for one in history.seen if one.node == node]
    last = max(mine, key=lambda one: one.ended)
    history.seen += [
        Seen(node, last.revision + 1, last.ended + 1, last.ended + 1.1),
        Seen(node, chance.randint(1, last.revision - 1) if last.revision > 1 else 0, 99, 100),
    ]
    history.allowed.clear()


def go_back_before_the_undo(history: History, chance: random.Random) -> None:
    node = chance.choice(NODES)
    history.seen = [one for one in history.seen if one.node != node]
    history.seen += [Seen(node, 2, 1.0, 1.1), Seen(node, 1, 2.0, 2.1), Seen(node, 2, 90, 91)]
    history.allowed[:] = [Allowed(1, 50.0)]


def serve_what_nobody_published(history: History, chance: random.Random) -> None:
    history.seen.append(Seen(chance.choice(NODES), 77, 200, 201))


def repeat_a_step(history: History, chance: random.Random) -> None:
    last = history.timelines[-1]
    fixed = [one for one in last.steps if one.kind in {"wave", "soak", "succeeded", "rolling"}]
    again = chance.choice(fixed)
    history.timelines[-1] = replace(last, steps=(*last.steps, again))


def lose_a_step(history: History, chance: random.Random) -> None:
    first, *_, last = history.timelines
    gone = chance.choice(first.steps)
    kept = tuple(one for one in last.steps if one != gone)
    history.timelines[-1] = replace(last, steps=kept)


def skip_a_wave(history: History, chance: random.Random) -> None:
    steps = tuple(
        Step(float(at), "wave", text)
        for at, text in enumerate(
            ["wave 1 (1) begins with 1 agents", f"wave {chance.randint(2, 9)} (rest) begins"]
        )
    )
    history.timelines = [Timeline("other", 1.0, steps)]


def serve_before_the_wave(history: History, chance: random.Random) -> None:
    at = chance.random()
    steps = (Step(at, "soak", "wave 1 (1) serves and soaks"),)
    history.timelines = [Timeline("other", 1.0, steps)]


def fail_a_request(history: History, chance: random.Random) -> None:
    begun = chance.choice([1.0, 8.2])  # all healthy; one of two broken
    history.requests.append(Request(chance.choice(NODES), begun, begun + 0.1, "status 502"))


def record_no_requests(history: History, chance: random.Random) -> None:
    node = chance.choice(NODES)
    history.requests = [one for one in history.requests if one.node != node]


def _changed(history: History, chance: random.Random, **fields: object) -> None:
    number = chance.randrange(len(history.upgrades))
    history.upgrades[number] = replace(history.upgrades[number], **fields)  # type: ignore[arg-type]


def run_another_version(history: History, chance: random.Random) -> None:
    _changed(history, chance, **{chance.choice(["runs", "installed"]): "9.99.0"})


def install_again(history: History, chance: random.Random) -> None:
    one = chance.choice(history.upgrades)
    _changed(history, chance, asked=one.ordered * 2, ordered=one.ordered)


def install_without_an_order(history: History, chance: random.Random) -> None:
    _changed(history, chance, asked=("9.99.0",))


SEEDED: dict[Callable[[History, random.Random], None], str] = {
    forget_a_write: LOST,
    keep_an_older_write: LOST,
    make_a_refused_write: CONJURED,
    give_a_revision_twice: TWICE,
    go_back: BACK,
    go_back_before_the_undo: BACK,
    serve_what_nobody_published: FOREIGN,
    repeat_a_step: REPEATED,
    lose_a_step: STEP_LOST,
    skip_a_wave: STEP_UNDUE,
    serve_before_the_wave: STEP_UNDUE,
    fail_a_request: FAILED,
    record_no_requests: SILENT,
    run_another_version: STRAY,
    install_again: AGAIN,
    install_without_an_order: UNORDERED,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", SEEDED, ids=lambda fault: fault.__name__)
def test_each_seeded_fault_is_found(
    fault: Callable[[History, random.Random], None], seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311
    history = right(chance)
    fault(history, chance)
    assert SEEDED[fault] in {one.kind for one in faults(history)}
