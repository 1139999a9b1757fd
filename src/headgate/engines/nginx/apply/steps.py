"""Types for the events and actions of an apply's machine.

Every list of actions ends with one that answers by an event, or with `Finish`.
"""

from dataclasses import dataclass
from typing import Literal

from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.evidence import Expectation, Observation
from headgate.engines.nginx.apply.journal import Step
from headgate.engines.nginx.apply.results import Result
from headgate.engines.nginx.releases.names import ReleaseName

# Events


@dataclass(frozen=True, slots=True)
class Fetched:
    """The rendered files are at hand."""


@dataclass(frozen=True, slots=True)
class Staged:
    """The release is on disk as a whole."""

    release: ReleaseName


@dataclass(frozen=True, slots=True)
class Checked:
    """LINT, TEST or PREFLIGHT is through; `took_s` of TEST says how slow a reload may be."""

    findings: tuple[Finding, ...] = ()
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """A link, a restore or a commit is done."""


@dataclass(frozen=True, slots=True)
class Signalled:
    """The master got the signal, or needs none; `expected` is what proves the target."""

    expected: Expectation


@dataclass(frozen=True, slots=True)
class Seen:
    """One look."""

    observation: Observation


@dataclass(frozen=True, slots=True)
class Woken:
    """A pause is over."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """An action could not be carried out."""

    finding: Finding


Event = Fetched | Staged | Checked | Done | Signalled | Seen | Woken | Trouble

# Actions


@dataclass(frozen=True, slots=True)
class Announce:
    """Journal a step and report it. A full disk stops only a step that `must` be written."""

    step: Step
    target: ReleaseName | None = None
    must: bool = True


@dataclass(frozen=True, slots=True)
class Fetch:
    """Get the rendered files. → Fetched"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Write the release, or restore the one to use again. → Staged"""


@dataclass(frozen=True, slots=True)
class Check:
    """Lint, test or preflight a release. → Checked"""

    step: Literal["lint", "test", "preflight"]
    release: ReleaseName


@dataclass(frozen=True, slots=True)
class Link:
    """Point `current` at a release, None: remove it. → Done"""

    release: ReleaseName | None


@dataclass(frozen=True, slots=True)
class Restore:
    """Make a release what it was when it was staged. → Done"""

    release: ReleaseName


@dataclass(frozen=True, slots=True)
class Signal:
    """Have the target served. → Signalled

    `reload`: HUP, or a start where nginx does not run. `look`: no signal; the old workers must
    still serve. `resume`: no signal; it was sent before a crash.
    """

    target: ReleaseName
    how: Literal["reload", "look", "resume"]


@dataclass(frozen=True, slots=True)
class Look:
    """Observe; `deep`: try listeners, names and probes too. → Seen"""

    deep: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait. → Woken"""

    seconds: float


@dataclass(frozen=True, slots=True)
class Commit:
    """Set `known_good` to the release and `previous` to what was current before. → Done"""

    release: ReleaseName
    previous: ReleaseName | None


@dataclass(frozen=True, slots=True)
class Stop:
    """Have no release served: stop an nginx that this apply started, and reload any other. → Done

    Trouble: it goes on serving the release that is undone.
    """


@dataclass(frozen=True, slots=True)
class Finish:
    """The apply is over."""

    result: Result


Action = (
    Announce
    | Fetch
    | Stage
    | Check
    | Link
    | Restore
    | Signal
    | Look
    | Pause
    | Commit
    | Stop
    | Finish
)
