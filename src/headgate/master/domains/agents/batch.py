"""Collects what agents said since it was written last. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from headgate.fleet.frames import UpgradeEnded
from headgate.fleet.master_events import AgentReport
from headgate.master.domains.agents.standings import Standing
from headgate.master.domains.agents.telling import Said

_TOGETHER_MS: Final = 1_500
_HALVES: Final = 2

Standings = dict[str, Standing]


@dataclass
class Batch:
    """The words of many agents that one transaction keeps."""

    joins: list[str] = field(default_factory=list)
    values: dict[str, dict[str, object]] = field(default_factory=dict)
    """The columns that change, by agent."""
    ends: list[tuple[str, int]] = field(default_factory=list)
    """Agents whose session ended, and its fence."""
    said: Said = field(default_factory=Said)
    ended: dict[str, UpgradeEnded] = field(default_factory=dict)
    fences: dict[str, int] = field(default_factory=dict)
    """Of the sessions in which agents said what nobody waits for."""

    def keep(self, agent_id: str, values: Mapping[str, object]) -> None:
        """Takes values of an agent's columns."""
        known = self.values.get(agent_id)
        if known is None:
            self.values[agent_id] = dict(values)
        else:
            known.update(values)

    def join(self, agent_id: str, values: Mapping[str, object]) -> int:
        """Begins a session; returns which place its fence has."""
        self.fences.pop(agent_id, None)
        self.joins.append(agent_id)
        self.keep(agent_id, values)
        if isinstance(starts := values.get("failed_starts"), int):
            self.said.failing[agent_id] = starts
        return len(self.joins) - 1

    def hear(
        self,
        agent_id: str,
        fence: int,
        values: Mapping[str, object],
        report: AgentReport | None = None,
    ) -> None:
        """Takes what an agent said in the session with this fence, and nobody waits for."""
        self.fences[agent_id] = fence
        self.keep(agent_id, values)
        if report is not None:
            self.said.add(agent_id, report)

    @property
    def agents(self) -> list[str]:
        """The agents that these words are of."""
        return list({**self.values, **dict.fromkeys(agent for agent, _ in self.ends)})

    def halves(self) -> "tuple[Batch, Batch] | None":
        """Returns the words of one half of the agents, and of the other; None if they are of one
        agent only."""
        agents = self.agents
        if len(agents) < _HALVES:
            return None
        first = frozenset(agents[: len(agents) // _HALVES])
        return self._of(first), self._of(frozenset(agents) - first)

    def _of(self, agents: frozenset[str]) -> "Batch":
        return Batch(
            joins=[agent for agent in self.joins if agent in agents],
            values={agent: said for agent, said in self.values.items() if agent in agents},
            ends=[end for end in self.ends if end[0] in agents],
            said=self.said.of(agents),
            ended={agent: end for agent, end in self.ended.items() if agent in agents},
            fences={agent: fence for agent, fence in self.fences.items() if agent in agents},
        )

    def take_over(self, lost: "Batch") -> None:
        """Takes what nobody waited for in a batch before this one that could not be written, of
        sessions that last: an agent that comes back says it again."""
        ends = (*self.ends, *lost.ends)
        ended = {agent for agent, fence in ends if fence == lost.fences.get(agent)}
        gone = ended.union(self.joins, lost.joins)
        kept = {agent: fence for agent, fence in lost.fences.items() if agent not in gone}
        for agent_id, fence in kept.items():
            self.fences.setdefault(agent_id, fence)
            self.values[agent_id] = lost.values[agent_id] | self.values.get(agent_id, {})
        for agent_id, reports in lost.said.reports.items():
            if agent_id in kept:
                self.said.add_before(agent_id, reports)

    def spoken(self, standings: Standings) -> Standings:
        """Returns the agents whose words count, with what they say of themselves: not those who
        are gone, or had said it in a session before their newest one."""
        return {
            agent: one.having(said)
            for agent, said in self.values.items()
            if (one := standings.get(agent)) is not None
            and self.fences.get(agent, one.fence) >= one.fence
        }

    def level(self) -> None:
        """Says of agents that were seen at about the same moment that it was the same one, so that
        one statement keeps it."""
        seen = [at for said in self.values.values() if isinstance(at := said.get("seen_at"), int)]
        newest = max(seen, default=0)
        for said in self.values.values():
            at = said.get("seen_at")
            if isinstance(at, int) and newest - at < _TOGETHER_MS:
                said["seen_at"] = newest
