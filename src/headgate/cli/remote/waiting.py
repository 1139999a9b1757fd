"""Says when a command that waits for a rollout ends, and with which exit code. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, cast

from headgate.cli.remote.client import Json

ENDED: Final = frozenset({"succeeded", "undone", "aborted", "superseded", "failed"})
_HELD: Final = frozenset({"holding", "paused", "frozen", "waiting"})
_PAST: Final = {"failed": "given up"}
_NAMED: Final = 5


class Code(IntEnum):
    """The result of waiting for a rollout; the exit code of the command."""

    SERVING = 0
    UNDONE = 3
    HELD = 4
    LATE = 5
    PARTLY = 6


@dataclass(frozen=True, slots=True)
class End:
    """The end of a command's wait; `text` is for a person and says what to do next."""

    code: Code
    text: str


class Patience:
    """The time that a command waits: `timeout_s` in all (0: without end), and `hold_s` for a person
    to end a hold (None: without end)."""

    def __init__(self, timeout_s: float = 0.0, hold_s: float | None = None) -> None:
        self._timeout_s = timeout_s
        self._hold_s = hold_s
        self._began_at: float | None = None
        self._held_at: float | None = None

    def end(self, detail: Json, now: float) -> End | None:
        """Returns the end if it has come; `now` never goes back."""
        status = str(detail["status"])
        if status in ENDED:
            return ended(detail)
        if status not in _HELD:
            self._held_at = None
        elif self._held_at is None:
            self._held_at = now
        if self._is_held_too_long(now):
            return End(Code.HELD, _held(detail))
        if self.is_over(now):
            text = f"rollout {detail['id']} is {status} and goes on; follow it with "
            return End(Code.LATE, f"{text}`headgate rollout status {detail['id']} --watch`")
        return None

    def _is_held_too_long(self, now: float) -> bool:
        if self._held_at is None or self._hold_s is None:
            return False
        return now - self._held_at >= self._hold_s

    def is_over(self, now: float) -> bool:
        """Reports whether the whole time is over; the first call begins it."""
        if self._began_at is None:
            self._began_at = now
        return bool(self._timeout_s) and now - self._began_at >= self._timeout_s


def ended(detail: Json) -> End:
    """Returns the end that a rollout came to."""
    number, status = detail["revision"], str(detail["status"])
    name = what(detail)
    if status != "succeeded":
        reason = f": {detail['reason']}" if detail.get("reason") else ""
        text = f"rollout {detail['id']} of {name} was {_PAST.get(status, status)}{reason}"
        return End(Code.UNDONE, f"{text}; {_back(detail)}")
    agents = cast("list[Mapping[str, object]]", detail.get("agents") or [])
    program = detail.get("program")
    missing = [
        str(one["agent"])
        for one in agents
        if (one["program"] != program if program else one["serving"] != number)
    ]
    left_out = cast("list[str]", detail.get("unable") or [])
    if not missing and not left_out:
        return End(Code.SERVING, f"{name} is serving on all {len(agents)} agents")
    missing += left_out
    return End(
        Code.PARTLY,
        f"{name} is serving, but not on {_names(missing)}; "
        "see why with `headgate describe agent ID`",
    )


def what(detail: Json) -> str:
    """Returns what a rollout brings: a revision, or a program."""
    program = detail.get("program")
    return f"headgate {program}" if program else f"revision {detail['revision']}"


def _back(detail: Json) -> str:
    base = detail.get("base")
    if detail["status"] == "superseded":
        return "a newer rollout took its place; see `headgate get rollouts`"
    if detail.get("program"):
        return "its agents go on with the program that each ran before"
    if base is None:
        return "there is no earlier revision to go back to; publish a corrected one"
    return f"the fleet goes on with revision {base}; publish a corrected one"


def _held(detail: Json) -> str:
    rollout, status = detail["id"], detail["status"]
    why = f": {detail['hold']}" if detail.get("hold") else ""
    text = f"rollout {rollout} is {status}{why}; "
    if status == "waiting":
        return f"{text}let somebody else run `headgate rollout approve {rollout}`"
    if status == "frozen":
        return f"{text}see `headgate freeze list`, or end it with `headgate freeze end ID`"
    return (
        f"{text}let it go on with `headgate rollout promote {rollout}`, "
        f"or take it back with `headgate rollout abort {rollout}`"
    )


def _names(agents: list[str]) -> str:
    more = f" and {len(agents) - _NAMED} more" if len(agents) > _NAMED else ""
    return ", ".join(agents[:_NAMED]) + more
