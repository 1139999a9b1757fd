"""A rollout of a program reaches an agent with several instances as one host."""

from pathlib import Path
from typing import Any

import pytest
from fleet_programs import NEW, OLD, Programs
from instances_agent import InstancesAgent, Office, own
from master_operator import W
from master_process import master
from ports import free_port
from running_node import Upstream, get
from waiting import until


@pytest.mark.timeout(900)
def test_one_order_takes_all_instances_of_the_host_over_and_the_next_finds_it_done(
    folder: Path, one: Upstream
) -> None:
    (folder / "m").mkdir()
    programs = Programs(folder / "programs")
    left, right = free_port(), free_port()
    tables = (own("left", left, 'labels = { tier = "canary" }'), own("right", right))
    with master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running:
        office = Office(running)
        token = office.token(2)
        with InstancesAgent(folder, office.url, token, *tables, **programs.environment) as agent:
            office.until_serving(office.publish(one.address), "left", "right")
            assert _programs(office) == {"left": OLD, "right": OLD}
            nginx = {name: agent.one(name)["engine"]["pid"] for name in ("left", "right")}

            rollout = _rollout(office, NEW, ["label:tier=canary", "rest"])
            until(lambda: _status(office, rollout) == "succeeded", "it succeeds", deadline_s=180)
            assert _programs(office) == {"left": NEW, "right": NEW}
            assert programs.asked == [NEW], "one command for the host"

            office.person.ask(f"{W}/rollouts/{rollout}/orders", {"verb": "undo"}, "POST")
            back = {"left": OLD, "right": OLD}
            until(lambda: _programs(office) == back, "it is undone", deadline_s=180)
            until(lambda: _status(office, rollout) == "undone", "it has ended", deadline_s=180)
            assert (programs.installed, programs.asked) == (OLD, [NEW, OLD])
            assert (get(left)[1], get(right)[1]) == (b"one", b"one")
            # The control process says what it runs before it has looked at its nginx.
            until(
                lambda: all(agent.one(name)["engine"]["pid"] for name in nginx),
                "each looks at its nginx",
            )
            assert {name: agent.one(name)["engine"]["pid"] for name in nginx} == nginx


def _rollout(office: Office, program: str, waves: list[str]) -> str:
    wanted: dict[str, Any] = {"fleet": "edge", "program": program, "waves": waves, "soak_s": 1}
    made = office.person.ask(f"{W}/rollouts", wanted | {"gates": {"min_requests": 0}})
    return str(made["id"])


def _status(office: Office, rollout: str) -> str:
    return str(office.person.ask(f"{W}/rollouts/{rollout}")["status"])


def _programs(office: Office) -> dict[str, str]:
    """The version that each instance says it runs."""
    return {name: row["facts"]["program"] for name, row in office.agents().items()}
