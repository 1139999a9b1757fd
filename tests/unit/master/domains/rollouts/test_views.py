"""A rollout as the API shows it."""

import pytest

from headgate.master.domains.rollouts.machine import create
from headgate.master.domains.rollouts.spec import Pace, Spec, parse_waves
from headgate.master.domains.rollouts.state import Node, Rollout, encode
from headgate.master.domains.rollouts.store import RolloutRow
from headgate.master.domains.rollouts.types import RolloutDetail
from headgate.master.domains.rollouts.views import detailed


def shown(nodes: dict[str, Node]) -> RolloutDetail:
    spec = Spec("r1", "edge", 2, 1, "ann", waves=parse_waves(["rest"]), pace=Pace())
    fresh = create(spec, 0.0)
    state = Rollout(spec=spec, waves=fresh.waves, nodes=nodes)
    row = RolloutRow(
        program=None,
        id="r1",
        version=1,
        organisation_id="o",
        workspace_id="w",
        fleet="edge",
        revision=2,
        phase="rolling",
        created_by="ann",
        created_at=0,
        state=encode(state).decode(),
    )
    return detailed(row, state)


def served(after_s: float) -> Node:
    return Node(standing="serving", wave=0, offered_at=100.0, served_at=100.0 + after_s)


@pytest.mark.parametrize(
    ("times", "half", "most"),
    [([], None, None), ([0.5], 0.5, 0.5), ([4.0, 1.0, 2.0], 2.0, 4.0), (range(1, 201), 100, 198)],
)
def test_it_says_how_soon_agents_served(
    times: list[float], half: float | None, most: float | None
) -> None:
    nodes = {f"a{number}": served(after_s) for number, after_s in enumerate(times)}
    nodes["offered"] = Node(standing="offered", wave=0, offered_at=100.0)
    nodes["unreached"] = Node()
    found = shown(nodes)
    assert (found.serving_p50_s, found.serving_p99_s) == (half, most)
