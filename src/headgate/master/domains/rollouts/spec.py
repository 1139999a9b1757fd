"""Says what a rollout is asked to do: its revision, waves, limits and gates. Pure.

A wave is written as one text: a number of agents (`"1"`), a share of the fleet (`"10%"`), a label
(`"label:tier=canary"`), a zone (`"zone:eu-1"`), or `"rest"`. A share counts what earlier waves
have reached: after `"10%"` a tenth of the fleet, rounded up, has the revision.
"""

import math
import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from headgate.kernel.errors import Invalid

DEFAULT_WAVES: Final = ("1", "10%", "50%", "rest")
_ALLOWED: Final = (
    'write a number of agents ("1"), a share ("10%"), "label:NAME=VALUE", "zone:NAME" or "rest"'
)
_COUNT = re.compile(r"[0-9]{1,6}")
_SHARE = re.compile(r"([0-9]{1,3})%")
_MAX_WAVES: Final = 50
_ALL: Final = 100

Kind = Literal["config", "certificates", "revocation", "program"]

NEW_PROGRAM: Final = 1
FORMER_PROGRAM: Final = 0
"""The numbers that stand for a revision in a rollout of a program: the new one, and the one of each
agent that it ran before."""


class Wave(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One wave: `kind` says how its agents are chosen, `name` and `value` whom or how many."""

    kind: Literal["count", "share", "label", "zone", "rest"]
    name: str = ""
    value: str = ""

    def __str__(self) -> str:
        return {
            "count": self.value,
            "share": f"{self.value}%",
            "label": f"label:{self.name}={self.value}",
            "zone": f"zone:{self.value}",
            "rest": "rest",
        }[self.kind]


class Gates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits that a wave is judged by, beside its control.

    Shares are from 0 to 1. `min_requests`: fewer than this on the wave decide nothing, and on the
    control excuse nothing; 0 lets a fleet without traffic pass. `failed_applies`: how many agents
    of the rollout may refuse the revision, or be away since their offer. `quarantine`: whether an
    agent that serves the revision without some of its objects counts as one that refused it.
    """

    min_requests: int = 50
    errors_over_control: float = 0.01
    latency_times_control: float = 1.5
    latency_over_control_ms: float = 50.0
    traffic_of_control: float = 0.5
    failed_applies: int = 0
    draining_generations: int = 3
    probes_over_control: float = 0.0
    quarantine: Literal["refuse", "accept"] = "refuse"


class Pace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pace of a rollout, in seconds of the rollout's own clock.

    `max_unavailable` agents at once may have been offered the revision without serving it; 0 is
    no limit. `soak_s`: a wave passes by data that its agents sent after that. `apply_s`: how long
    a connected agent may take. `stale_s`: data of an agent that is older does not count.
    `settle_s`: how long a driver that has just begun waits for agents to connect again before it
    goes on. `hold_alarm_s`: when a hold raises an alarm.
    """

    max_unavailable: int = 0
    soak_s: float = 300.0
    apply_s: float = 300.0
    stale_s: float = 45.0
    settle_s: float = 60.0
    hold_alarm_s: float = 3600.0


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rollout as it was asked for.

    `base`: the revision that the fleet ended its last rollout with, known when this one begins;
    None before the first one.
    Certificates and revocations go to all agents at once and are never undone. `is_now`: all
    agents at once, without soak, gates of traffic, or freezes. `program` is the version of headgate
    that a rollout of the kind `program` brings; its revision is NEW_PROGRAM, its base
    FORMER_PROGRAM. `authors` are the ids of whose rollout it is: of who began it, and of who made
    the API token that did; rollouts of older masters have none.
    """

    rollout: str
    fleet: str
    revision: int
    base: int | None
    author: str
    kind: Kind = "config"
    waves: tuple[Wave, ...] = ()
    gates: Gates = Gates()
    pace: Pace = Pace()
    approvals: int = 0
    is_now: bool = False
    program: str = ""
    authors: tuple[str, ...] = ()

    @property
    def is_urgent(self) -> bool:
        """True if waves, gates, freezes and the undo do not apply."""
        return self.kind in {"certificates", "revocation"}

    @property
    def is_of_program(self) -> bool:
        """True if it upgrades agents and leaves their config alone."""
        return self.kind == "program"

    @property
    def new(self) -> str:
        """The revision or program that the agents get, in words."""
        return f"headgate {self.program}" if self.is_of_program else f"revision {self.revision}"

    @property
    def old(self) -> str:
        """The revision or program that the agents go back to, in words."""
        return "its former program" if self.is_of_program else f"revision {self.base}"

    @property
    def is_gated(self) -> bool:
        """True if waves wait for their soak and their gates."""
        return not (self.is_urgent or self.is_now)


def parse_wave(text: str) -> Wave:
    """Returns the wave that `text` says; raises `Invalid`.

    >>> str(parse_wave("label:tier=canary"))
    'label:tier=canary'
    """
    if text == "rest":
        return Wave("rest")
    share = _SHARE.fullmatch(text)
    if share and 0 < int(share[1]) <= _ALL:
        return Wave("share", value=str(int(share[1])))
    if _COUNT.fullmatch(text) and int(text) > 0:
        return Wave("count", value=str(int(text)))
    head, colon, tail = text.partition(":")
    if colon and head == "zone" and tail:
        return Wave("zone", value=tail)
    name, equals, value = tail.partition("=")
    if colon and head == "label" and equals and name:
        return Wave("label", name, value)
    raise Invalid(f'"{text}" is not a wave', _ALLOWED)


def parse_waves(texts: Sequence[str]) -> tuple[Wave, ...]:
    """Returns the waves, with `rest` at the end even if it was not written; raises `Invalid`."""
    waves = [parse_wave(text) for text in texts]
    if any(wave.kind == "rest" for wave in waves[:-1]):
        raise Invalid('"rest" stands before other waves', 'write "rest" last')
    if not waves or waves[-1].kind != "rest":
        waves.append(Wave("rest"))
    if len(waves) > _MAX_WAVES:
        raise Invalid(f"there are {len(waves)} waves", f"write at most {_MAX_WAVES}")
    return tuple(waves)


def waves_of(spec: Spec) -> tuple[Wave, ...]:
    """Returns the waves that a rollout goes through."""
    if not spec.is_gated:
        return (Wave("rest"),)
    return spec.waves or parse_waves(DEFAULT_WAVES)


def wanted(wave: Wave, fleet_size: int, reached: int) -> int:
    """Returns how many agents a wave of a count or a share takes; a share is rounded up.

    >>> wanted(Wave("share", value="10"), 11, 1)
    1
    """
    if wave.kind == "count":
        return int(wave.value)
    share = math.ceil(fleet_size * int(wave.value) / _ALL)
    return max(share - reached, 0)
