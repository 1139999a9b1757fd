"""The page of a master's metrics, from what was seen. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from headgate.kernel.openmetrics import END, Buckets, Labels, family, histogram
from headgate.master.telemetry import work
from headgate.master.telemetry.rest import RestCounts
from headgate.master.telemetry.standing import FleetName, SeenAuthority, Standing
from headgate.master.telemetry.work import Work

_DAY_S: Final = 86_400.0
_LOGIN: Final = ("POST", "/api/v1/auth/login")
_LOGINS: Final = {200: "passed", 401: "refused", 429: "throttled"}
PHASES: Final = (
    *("queued", "waiting", "rolling", "undoing"),
    *("succeeded", "undone", "aborted", "superseded", "failed"),
)


@dataclass(frozen=True, slots=True)
class Process:
    """The process of a master."""

    build: Labels
    started_at: float
    cpu_s: float
    resident_bytes: int
    open_fds: int


@dataclass(frozen=True, slots=True)
class Store:
    """The master's database."""

    kind: str
    """`sqlite` or `postgresql`."""
    writes: Mapping[str, int]
    durations: Buckets
    waiting: int
    metrics_waiting: int


@dataclass(frozen=True, slots=True)
class Sessions:
    """The connected agents and people, and the times that revisions took to reach agents."""

    by_transport: Mapping[str, int]
    watchers: int
    stalled: int
    """Clients that were cut off because they took nothing."""
    from_publication: Buckets
    from_offer: Buckets


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a page shows. `standing` None: the database does not answer."""

    now_s: float
    process: Process
    store: Store
    sessions: Sessions
    work: Work
    rest: RestCounts
    authorities: tuple[SeenAuthority, ...]
    standing: Standing | None


def page(seen: Seen) -> bytes:
    """Returns OpenMetrics text. What only the database knows is missing while it does not
    answer, and `headgate_master_database_up` is 0."""
    parts = [*_process(seen.process), *_store(seen), *_sessions(seen.sessions), *_rest(seen.rest)]
    parts += work.families(seen.work)
    parts += _authorities(seen)
    if seen.standing is not None:
        parts += [*_fleets(seen.standing), *_certificates(seen.standing, seen.now_s)]
    return "".join(parts).encode() + END


def _process(process: Process) -> Iterator[str]:
    yield family("headgate_build", "info", "Version of the master.", [(process.build, 1)])
    yield _gauge(
        "headgate_master_start_time_seconds", "When the master started.", process.started_at
    )
    about = "CPU time of the master."
    yield family("headgate_master_cpu_seconds", "counter", about, [({}, process.cpu_s)], "seconds")
    yield _gauge("headgate_master_resident_bytes", "Resident memory.", process.resident_bytes)
    yield _gauge("headgate_master_open_fds", "Open descriptors.", process.open_fds)


def _store(seen: Seen) -> Iterator[str]:
    store = seen.store
    up: list[tuple[Labels, float]] = [({"kind": store.kind}, int(seen.standing is not None))]
    yield family("headgate_master_database_up", "gauge", "1 while the database answers.", up)
    yield family(
        "headgate_master_database_writes",
        "counter",
        "Transactions that write, by `outcome`: undone by their own work, such as a conflict;"
        " failed for the database; refused because too many waited.",
        [({"outcome": outcome}, count) for outcome, count in store.writes.items()],
    )
    yield histogram(
        "headgate_master_database_write_seconds",
        "How long they took that were done, waiting included.",
        [({}, store.durations)],
        "seconds",
    )
    yield _gauge(
        "headgate_master_database_writes_waiting",
        "Writes that wait or are under way.",
        store.waiting,
    )
    yield _gauge(
        "headgate_master_fleet_metrics_waiting",
        "Agents whose newest figures are not written yet.",
        store.metrics_waiting,
    )


def _sessions(sessions: Sessions) -> Iterator[str]:
    yield family(
        "headgate_agent_sessions",
        "gauge",
        "Agents with a session at this master, by `transport`.",
        [({"transport": name}, count) for name, count in sessions.by_transport.items()],
    )
    yield _gauge("headgate_event_watchers", "Clients that watch events.", sessions.watchers)
    yield family(
        "headgate_master_stalled_clients",
        "counter",
        "Clients of REST, events and metrics that were cut off: they took nothing of what waited"
        " for them for 30 s, or did not finish a request in time.",
        [({}, sessions.stalled)],
    )
    yield histogram(
        "headgate_publish_serving_seconds",
        "From the publication of a revision to the proof that an agent serves it, waves included.",
        [({}, sessions.from_publication)],
        "seconds",
    )
    yield histogram(
        "headgate_offer_serving_seconds",
        "From the offer of a revision to an agent to the proof that it serves it.",
        [({}, sessions.from_offer)],
        "seconds",
    )


def _rest(rest: RestCounts) -> Iterator[str]:
    yield family(
        "headgate_rest_requests",
        "counter",
        "Requests to the REST API, by the path of the route as it is declared.",
        [
            ({"method": method, "route": route, "status": str(status)}, count)
            for (method, route, status), count in sorted(rest.requests.items())
        ],
    )
    yield histogram(
        "headgate_rest_request_duration_seconds",
        "How long they took.",
        [
            ({"method": method, "route": route}, found.buckets())
            for (method, route), found in sorted(rest.durations.items())
        ],
        "seconds",
    )
    yield _gauge(
        "headgate_rest_in_progress", "Requests that are not answered yet.", rest.in_progress
    )
    answers = rest.of(*_LOGIN)
    yield family(
        "headgate_logins",
        "counter",
        "Logins with a password, by `result`.",
        [({"result": word}, answers.get(status, 0)) for status, word in _LOGINS.items()],
    )


def _authorities(seen: Seen) -> Iterator[str]:
    ends: list[tuple[Labels, float]] = [
        ({"authority": one.pin, "issues": "yes" if one.is_issuing else "no"}, one.ends_at)
        for one in seen.authorities
    ]
    yield from _expiry(
        "headgate_fleet_authority", "a certificate authority of the fleet", ends, seen.now_s
    )


def _fleets(standing: Standing) -> Iterator[str]:
    yield family(
        "headgate_agents",
        "gauge",
        "Agents by fleet and `state`.",
        [
            (_names(fleet) | {"state": state}, count)
            for (fleet, state), count in sorted(standing.agents.items())
        ],
    )
    yield family(
        "headgate_agents_drifting",
        "gauge",
        "Agents whose nginx differs from what was applied there, by fleet.",
        [(_names(fleet), count) for fleet, count in sorted(standing.drifting.items())],
    )
    yield from _programs(standing)
    yield from _rollouts(standing)
    yield family("headgate_events", "counter", "Events of all workspaces.", [({}, standing.events)])


def _rollouts(standing: Standing) -> Iterator[str]:
    phases = dict.fromkeys(PHASES, 0) | standing.rollouts
    yield family(
        "headgate_rollouts",
        "gauge",
        "Rollouts by `state`; those that ended are kept for 400 days.",
        [({"state": phase}, count) for phase, count in phases.items()],
    )
    phases = dict.fromkeys(PHASES, 0) | standing.program_rollouts
    yield family(
        "headgate_master_program_rollouts",
        "gauge",
        "Those of them that bring a version of headgate to agents, by `state`.",
        [({"state": phase}, count) for phase, count in phases.items()],
    )
    yield family(
        "headgate_rollout_hold_seconds",
        "gauge",
        "For how long the rollout of a fleet has held; 0: it does not hold.",
        [(_names(fleet), held_s) for fleet, held_s in sorted(standing.holds.items())],
        "seconds",
    )


def _programs(standing: Standing) -> Iterator[str]:
    yield family(
        "headgate_master_agent_programs",
        "gauge",
        "Agents by fleet and the version of headgate that they run: the 10 versions that most run,"
        " and `(other)`.",
        [
            (_names(fleet) | {"version": version}, count)
            for (fleet, version), count in sorted(standing.programs.items())
        ],
    )
    yield family(
        "headgate_master_agent_upgrades",
        "gauge",
        "Agents by fleet and the `state` of their newest order to upgrade: asked, done or failed.",
        [
            (_names(fleet) | {"state": state}, count)
            for (fleet, state), count in sorted(standing.upgrades.items())
        ],
    )


def _certificates(standing: Standing, now_s: float) -> Iterator[str]:
    about = "Certificates that nodes serve with."
    yield _gauge("headgate_served_certificates", about, standing.served_certificates)
    ends: list[tuple[Labels, float]] = [
        (_names(one.fleet) | {"agent": one.agent, "certificate": one.certificate}, one.ends_at)
        for one in standing.certificates
    ]
    what = "one of the 200 certificates of nodes that end first"
    yield from _expiry("headgate_served_certificate", what, ends, now_s)


def _expiry(name: str, what: str, ends: list[tuple[Labels, float]], now_s: float) -> Iterator[str]:
    days = [(labels, round((at - now_s) / _DAY_S, 3)) for labels, at in ends]
    ending = f"{name}_not_after_timestamp_seconds"
    yield family(ending, "gauge", f"When {what} ends.", ends, "seconds")
    yield family(
        f"{name}_expiry_days", "gauge", "Days until then; negative afterwards.", days, "days"
    )


def _names(fleet: FleetName) -> dict[str, str]:
    return {"organisation": fleet.organisation, "workspace": fleet.workspace, "fleet": fleet.fleet}


def _gauge(name: str, about: str, value: float) -> str:
    unit = next((unit for unit in ("seconds", "bytes") if name.endswith(f"_{unit}")), "")
    return family(name, "gauge", about, [({}, value)], unit)
