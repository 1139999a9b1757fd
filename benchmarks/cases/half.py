"""Latency at half load: all peers run, and windows of half a second go round among them.

What a window of one peer meets (a hiccup of the virtual machine, a stranger) the next one's meets
as likely.
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from loads import Figures, Load, LoadError, pooled
from machine import Window, pss_bytes, wait_until_quiet
from openloop import first_in_line, loaded
from peers.base import Peer, Setup
from results import Metrics
from running import RunningPeer, running

from cases.base import NOISE, Context, checked

WARM_UP_S = 0.2
"""Before each window, at the same rate and not counted: connections are made, caches filled."""
_FIRST_S = 0.5
"""A turn before the others that is not counted either, for processes that have just started."""
_TURNS = 8
_MOST_TURNS = 16


@dataclass
class _Turn:
    """A window of each peer."""

    seen: dict[str, Figures] = field(default_factory=dict)
    pss: dict[str, int] = field(default_factory=dict)
    foreign: float = 0.0
    """CPUs that strangers used, in the worst of its windows."""
    load_cpu: float = 0.0


@dataclass(frozen=True)
class HalfLoads:
    """The figures that were found, and the peers that failed."""

    found: dict[str, Metrics]
    failed: dict[str, str]


def half_loads(
    peers: Sequence[Peer], setup: Setup, load: Load, rate: float, context: Context
) -> HalfLoads:
    """Figures by peer: eight quiet turns, or the quietest eight of sixteen."""
    wait_until_quiet(1.0 if context.quick else 5.0)
    turns: list[_Turn] = []
    failed: dict[str, str] = {}
    seconds = context.seconds / 4
    with contextlib.ExitStack() as stack:
        ones = [stack.enter_context(running(peer, setup, context.backend_port)) for peer in peers]
        pids = [pid for one in ones for pid in one.look().data]
        first = stack.enter_context(first_in_line(context.backend_pid, pids))
        _turn(ones, load, _FIRST_S, rate, (context.backend_pid, first), failed)
        while len(turns) < _MOST_TURNS and sum(t.foreign <= NOISE for t in turns) < _TURNS:
            at = len(turns) % len(ones)
            able = [one for one in ones[at:] + ones[:at] if one.peer.name not in failed]
            turns.append(_turn(able, load, seconds, rate, (context.backend_pid, first), failed))
    turns.sort(key=lambda turn: turn.foreign)
    return HalfLoads(_figures(turns[:_TURNS], rate, first, failed), failed)


def _turn(
    ones: Sequence[RunningPeer],
    load: Load,
    seconds: float,
    rate: float,
    upstream: tuple[int, bool],
    failed: dict[str, str],
) -> _Turn:
    turn = _Turn()
    backend_pid, first = upstream
    for one in ones:
        name = one.peer.name
        processes = one.look()
        window = Window(processes.data, processes.whole, [backend_pid])
        try:
            with loaded(one, load, seconds, rate, warm_up=WARM_UP_S, first=first) as client:
                time.sleep(WARM_UP_S / 2)  # reading a process's memory map can hold it up
                turn.pss[name] = pss_bytes(processes.data)
                turn.seen[name] = checked(client.result())
        except LoadError as error:
            failed[name] = str(error)
            continue
        around = window.close()
        turn.foreign = max(turn.foreign, around["foreign"])
        turn.load_cpu = max(turn.load_cpu, around["load_cpu"])
    return turn


def _figures(
    turns: Sequence[_Turn], rate: float, first: bool, failed: dict[str, str]
) -> dict[str, Metrics]:
    names = [name for name in turns[0].seen if name not in failed]
    found: dict[str, Metrics] = {}
    for name in names:
        seen = pooled([turn.seen[name] for turn in turns])
        found[name] = {
            "rate": rate,
            "half_rps": seen.requests / seen.seconds,
            "half_p50": seen.p50,
            "half_p99": seen.p99,
            "half_p999": seen.p999,
            "half_late": seen.late_p99,
            "half_failed": float(seen.failed),
            "half_unsent": float(seen.unsent),
            "half_pss": max(float(turn.pss[name]) for turn in turns),
            "half_load_cpu": max(turn.load_cpu for turn in turns),
            "half_first": float(first),
            "half_noisy": float(any(turn.foreign > NOISE for turn in turns)),
        }
    return found
