"""Shows a rollout to a person: its waves, where its agents stand, its timeline."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, cast

from headgate.cli.output import printable
from headgate.cli.remote.client import Json, Master
from headgate.cli.remote.errors import MasterError
from headgate.cli.remote.output import table
from headgate.cli.remote.waiting import Code, End, Patience, what

_INTERVAL_S: Final = 1.0
_AWAY: Final = frozenset({0, 502, 503, 504})
_AWAY_S: Final = 120.0
_NAMED: Final = 20


def path_of(master: Master, rollout: str = "") -> str:
    """Returns where a rollout is, or the list of them; raises MasterError without a workspace."""
    base = f"/workspaces/{master.workspace}/rollouts"
    return f"{base}/{rollout}" if rollout else base


def chosen(master: Master, rollout: str | None) -> str:
    """Returns the id of the rollout, or of the newest one; raises MasterError if there is none."""
    if rollout is not None:
        return rollout
    newest = ""
    for one in master.all(path_of(master)):
        newest = str(one["id"])
    if not newest:
        raise MasterError("there is no rollout; begin one with `headgate rollout start`")
    return newest


def text(detail: Json) -> str:
    """Returns what a person needs to know of a rollout."""
    state = f"{detail['status']}: {detail['hold'] or detail['reason']}".rstrip(": ")
    first = printable(f"rollout {detail['id']}: {what(detail)}, {state}")
    head = f"{first}\n{_serving(detail)}"
    return "\n".join((head, _waves(detail), _agents(detail), _timeline(detail)))


def _serving(detail: Json) -> str:
    half, most = detail.get("serving_p50_s"), detail.get("serving_p99_s")
    if half is None or most is None:
        return ""
    return f"served after the offer: {half} s by half of the agents, {most} s by 99 in 100\n"


def watch(master: Master, rollout: str, patience: Patience) -> End:
    """Shows a rollout until the patience ends: anew each second on a terminal; elsewhere the lines
    of its timeline as they come. A master that is away for a while is waited for."""
    if not sys.stdout.isatty():
        return followed(master, rollout, patience, _Lines())
    from rich.live import Live  # noqa: PLC0415 - only a terminal needs it
    from rich.text import Text  # noqa: PLC0415

    with Live(Text(""), auto_refresh=False) as live:
        return followed(
            master, rollout, patience, lambda one: live.update(Text(text(one)), refresh=True)
        )


class _Lines:
    """Prints the lines of a timeline that were not printed yet."""

    def __init__(self) -> None:
        self._shown: list[Json] = []

    def __call__(self, detail: Json) -> None:
        entries = _list(detail, "timeline")
        # A long timeline loses lines from its middle: what is new follows the last line shown.
        known = next((i + 1 for i in reversed(range(len(entries))) if entries[i] in self._shown), 0)
        sys.stdout.write("".join(map(_entry, entries[known:])))
        sys.stdout.flush()
        self._shown = entries


def followed(
    master: Master,
    rollout: str,
    patience: Patience,
    show: Callable[[Json], None] = lambda _detail: None,
) -> End:
    """Gives each state of a rollout to `show` until the patience ends; raises MasterError."""
    away_since: float | None = None
    while True:
        now = time.monotonic()
        try:
            detail = master.get(path_of(master, rollout))
        except MasterError as error:
            away_since = now if away_since is None else away_since
            if error.status not in _AWAY or now - away_since > _AWAY_S:
                raise
            if patience.is_over(now):
                return End(Code.LATE, f"{error}; follow rollout {rollout} when it is back")
        else:
            away_since = None
            show(detail)
            end = patience.end(detail, now)
            if end is not None:
                return end
        time.sleep(_INTERVAL_S)


def _waves(detail: Json) -> str:
    rows = [
        {
            "wave": f"{number} ({wave['name']})",
            "agents": len(_list(wave, "members")),
            "began": wave["began_at"],
            "passed": wave["passed_at"],
            "gates": wave["how"] or wave["outcome"],
        }
        for number, wave in enumerate(_list(detail, "waves"), start=1)
    ]
    return table(rows, ("wave", "agents", "began", "passed", "gates"))


def _agents(detail: Json) -> str:
    agents = _list(detail, "agents")
    counts = Counter(str(one["standing"]) for one in agents)
    away = sum(not one["is_online"] for one in agents)
    words = ", ".join(f"{count} {standing}" for standing, count in sorted(counts.items()))
    lines = [f"{len(agents)} agents: {words or 'none'}; {away} offline"]
    failed = [one for one in agents if one["error"]]
    lines += [f"  {one['agent']}: {one['error']}" for one in failed[:_NAMED]]
    if len(failed) > _NAMED:
        lines.append(f"  and {len(failed) - _NAMED} more")
    if detail.get("program"):
        lines += _programs(detail, agents)
    return "".join(f"{printable(line)}\n" for line in lines)


def _programs(detail: Json, agents: list[Json]) -> list[str]:
    """Returns which versions run, and who is left out."""
    counts = Counter(str(one["program"]) for one in agents)
    versions = ", ".join(f"{program} on {count}" for program, count in sorted(counts.items()))
    lines = [f"  headgate {versions}"] if versions else []
    lines += [f"  {name}: left out, it cannot upgrade" for name in _names(detail)[:_NAMED]]
    return lines


def _names(detail: Json) -> list[str]:
    return cast("list[str]", detail.get("unable") or [])


def _timeline(detail: Json) -> str:
    return "".join(map(_entry, _list(detail, "timeline")))


def _entry(one: Mapping[str, object]) -> str:
    return printable(f"{one['at']}  {one['text']}") + "\n"


def _list(one: Mapping[str, object], name: str) -> list[Json]:
    return cast("list[Json]", one.get(name) or [])
