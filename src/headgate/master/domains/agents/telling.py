"""Makes events of a workspace of what its agents said: one for each, or one for many that say the
same. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pydantic import JsonValue

from headgate.fleet.frames import Fault, Notice
from headgate.fleet.master_events import AgentReport
from headgate.master.domains.agents.standings import Standing
from headgate.master.domains.agents.store import CONNECTED, LOST
from headgate.master.domains.agents.upgrading import Ended
from headgate.master.domains.events.types import News

ALONE: Final = 3
"""So many agents of a fleet that say the same at once have an event each."""
_MOST: Final = 40
_NAMED: Final = 10
_LONGEST: Final = 1_000
_WARNINGS: Final = 5
_ID: Final = 64
_REPORTS: Final = 8
"""So many revisions of each agent, the newest ones, are kept until they are written."""
_TIMES: Final = frozenset({"noticed_at_ms", "since_ms"})

Detail = dict[str, JsonValue]


class Report(NamedTuple):
    """The part of an agent's report that is told, with its texts cut."""

    kind: str
    detail: Detail


@dataclass
class Said:
    """Everything that agents said since events were written last."""

    reports: dict[str, dict[int, Report]] = field(default_factory=dict)
    """The newest one of each agent and revision, the oldest revision that an agent spoke of
    first."""
    notices: list[tuple[str, Notice]] = field(default_factory=list)
    upgrades: list[tuple[str, Ended]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    """The number of notices that were dropped, by agent."""
    failing: dict[str, int] = field(default_factory=dict)
    """The number of starts in a row that failed, of agents that came as failing ones."""
    drifts: dict[str, Detail] = field(default_factory=dict)
    """The news of each agent's drift."""

    def add(self, agent_id: str, report: AgentReport) -> None:
        """Keeps a report, cut: the store may be away for long."""
        own = self.reports.setdefault(agent_id, {})
        own.pop(report.version.revision, None)
        own[report.version.revision] = _reported(report)
        _keep_newest(own)

    def add_before(self, agent_id: str, reports: Mapping[int, Report]) -> None:
        """Keeps reports of an agent that came before all of these, as far as they fit."""
        own = self.reports.get(agent_id, {})
        both = {number: one for number, one in reports.items() if number not in own} | own
        _keep_newest(both)
        self.reports[agent_id] = both

    def of(self, agents: frozenset[str]) -> "Said":
        """Returns what these agents said."""
        return Said(
            reports={agent: own for agent, own in self.reports.items() if agent in agents},
            notices=[one for one in self.notices if one[0] in agents],
            dropped={agent: one for agent, one in self.dropped.items() if agent in agents},
            failing={agent: one for agent, one in self.failing.items() if agent in agents},
            drifts={agent: one for agent, one in self.drifts.items() if agent in agents},
        )


@dataclass(frozen=True, slots=True)
class _Line:
    agent: Standing
    kind: str
    detail: Detail


def news_of(
    standings: Mapping[str, Standing], joined: Iterable[str], said: Said
) -> dict[tuple[str, str], list[News]]:
    """Returns the events by organisation and workspace; agents without a standing are gone."""
    lines: list[_Line] = []
    for agent_id in dict.fromkeys(joined):
        agent = standings.get(agent_id)
        if agent is not None and agent.told != CONNECTED:
            lines.append(_Line(agent, f"agents.{CONNECTED}", {}))
    lines += _failing(standings, said)
    lines += [
        _Line(standings[agent_id], *report)
        for agent_id, own in said.reports.items()
        if agent_id in standings
        for report in own.values()
    ]
    for agent_id, end in said.upgrades:
        if agent_id in standings:
            lines.append(_upgraded(standings[agent_id], end))
    for agent_id, notice in said.notices:
        if agent_id in standings:
            lines.append(_noticed(standings[agent_id], notice))
    lines += [
        _Line(standings[agent_id], "agents.drift", detail)
        for agent_id, detail in said.drifts.items()
        if agent_id in standings
    ]
    for agent_id, count in said.dropped.items():
        if agent_id in standings and count:
            lines.append(_Line(standings[agent_id], "agents.dropped", {"count": count}))
    return _merged(lines)


def _failing(standings: Mapping[str, Standing], said: Said) -> list[_Line]:
    """Returns lines of agents that fail at each start, and did not before."""
    return [
        _Line(agent, "agents.failing", {"starts": starts})
        for agent_id, starts in said.failing.items()
        if (agent := standings.get(agent_id)) is not None and agent.failing_since is None
    ]


def lost(standings: Iterable[Standing]) -> dict[tuple[str, str], list[News]]:
    """Returns the events of agents that are gone, by organisation and workspace."""
    return _merged([_Line(one, f"agents.{LOST}", {}) for one in standings])


def _keep_newest(own: dict[int, Report]) -> None:
    for number in list(own)[:-_REPORTS]:
        del own[number]


def _reported(report: AgentReport) -> Report:
    detail: Detail = {"revision": report.version.revision}
    if report.fault is not None:
        detail["fault"] = _fault(report.fault)
    if report.warnings:
        detail["warnings"] = [text[:_LONGEST] for text in report.warnings[:_WARNINGS]]
    if report.rollout:
        detail |= {"rollout": report.rollout[:_ID], "wave": report.wave}
    return Report(f"agents.{report.phase.name.lower().replace('_', '-')}", detail)


def _upgraded(agent: Standing, end: Ended) -> _Line:
    detail: Detail = {"program": end.program}
    if not end.error:
        return _Line(agent, "agents.upgraded", detail)
    return _Line(agent, "agents.upgrade-failed", detail | {"text": end.error[:_LONGEST]})


def _fault(fault: Fault) -> Detail:
    return {
        "code": fault.code[:64],
        "text": fault.text[:_LONGEST],
        "is_transient": fault.is_transient,
        "object": fault.object[:_LONGEST],
        "file": fault.file[:_LONGEST],
        "line": fault.line,
    }


def _noticed(agent: Standing, notice: Notice) -> _Line:
    word = notice.kind[:48].encode("ascii", "replace").decode()
    detail: Detail = {
        "level": notice.level[:16],
        "about": notice.object[:_LONGEST],
        "text": notice.text[:_LONGEST],
        "count": notice.count,
        "noticed_at_ms": notice.at_ms,
    }
    return _Line(agent, f"agents.{word}", detail)


def _merged(lines: list[_Line]) -> dict[tuple[str, str], list[News]]:
    groups: dict[tuple[str, ...], list[_Line]] = {}
    for one in lines:
        groups.setdefault(_sameness(one), []).append(one)
    found: dict[tuple[str, str], list[News]] = {}
    for group in groups.values():
        agent = group[0].agent
        events = found.setdefault((agent.organisation_id, agent.workspace_id), [])
        events += [_one(line) for line in group] if len(group) <= ALONE else [_many(group)]
    return {key: _bounded(events) for key, events in found.items()}


def _sameness(line: _Line) -> tuple[str, ...]:
    """Returns what lines of one event have in common: everything but the agent and the times."""
    same = {key: value for key, value in line.detail.items() if key not in _TIMES}
    agent = line.agent
    return (agent.organisation_id, agent.workspace_id, agent.fleet, line.kind, repr(same))


def _one(line: _Line) -> News:
    about: Detail = {"agent": line.agent.name, "fleet": line.agent.fleet}
    return News(type=line.kind, object=line.agent.id, detail=about | line.detail)


def _many(lines: list[_Line]) -> News:
    names: list[JsonValue] = [line.agent.name for line in lines[:_NAMED]]
    about: Detail = {"agents": len(lines), "named": names, "fleet": lines[0].agent.fleet}
    return News(type=lines[0].kind, object=lines[0].agent.fleet, detail=about | lines[0].detail)


def _bounded(events: list[News]) -> list[News]:
    """Returns at most so many events; the last one says how many more there were."""
    if len(events) <= _MOST:
        return events
    more: Detail = {"count": len(events) - _MOST + 1}
    return [*events[: _MOST - 1], News(type="agents.more", object="", detail=more)]
