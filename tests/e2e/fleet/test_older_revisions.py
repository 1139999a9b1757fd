"""A fleet that goes back: real agents get the smaller number, and keep it over a restart."""

from functools import partial
from pathlib import Path

import pytest
from agent_master import AgentMaster, RunningAgent
from fleet_node import Node, serving
from master_operator import Operator, W, put
from master_process import master
from running_node import Upstream, get
from waiting import until

from headgate.fleet.frames import Phase

# One request alone decides here, and on a busy machine it may be slow.
_GATES = {"min_requests": 0, "latency_over_control_ms": 60_000}
_AT_ONCE = {"fleet": "edge", "waves": ["rest"], "soak_s": 0, "gates": _GATES}


def roll_out(person: Operator, revision: int) -> str:
    """Begins a rollout; returns its path."""
    made = person.ask(f"{W}/rollouts", {**_AT_ONCE, "revision": revision})
    return f"{W}/rollouts/{made['id']}"


def until_ended(person: Operator, path: str, status: str) -> None:
    """Returns once a rollout has ended in this way; one that is undone shows why."""

    def has_ended() -> bool:
        shown = person.ask(path)
        assert status == "undone" or shown["status"] != "undone", shown
        return bool(shown["status"] == status)

    until(has_ended, f"the rollout to be {status}")


def published(person: Operator) -> int:
    """Makes a revision that waits for a rollout; returns its number."""
    return int(person.ask(f"{W}/revisions", {"fleet": "edge", "is_served": False})["number"])


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_a_rollout_of_an_older_revision_and_its_undo_reach_the_node_and_its_disk(
    folder: Path, port: int, one: Upstream, two: Upstream, engine: str
) -> None:
    (folder / "m").mkdir()
    with master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running:
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        rest, grpc = person.base.rpartition(":")[2], running.agents_port()
        url = f"grpcs://127.0.0.1:{grpc}?rest={rest}"
        with Node(folder, url, token, engine):
            until(lambda: person.agent().get("state") == "connected", "a connected agent")
            for number, upstream in enumerate((one, two), start=1):
                put(person, port, upstream.address)
                assert published(person) == number
                path = roll_out(person, number)
                until_ended(person, path, "succeeded")
            assert get(port)[1] == b"two"

            older = roll_out(person, 1)
            until_ended(person, older, "succeeded")
            assert (serving(person), get(port)[1]) == (1, b"one")
            assert person.ask(f"{W}/fleets/edge")["revision"] == 1

            person.ask(f"{older}/orders", {"verb": "undo"})
            until_ended(person, older, "undone")
            assert (serving(person), get(port)[1]) == (2, b"two")

            # What no node of this machine can serve: an address of somebody else.
            spec = {"address": "192.0.2.1:80", "default": True}
            person.ask(f"{W}/resources/listeners/web", {"spec": spec}, "PUT")
            assert published(person) == 3
            broken = roll_out(person, 3)
            until_ended(person, broken, "undone")
            shown = person.ask(broken)
            assert shown["base"] == 2
            (agent,) = shown["agents"]
            assert (agent["serving"], agent["desired"]) == (2, 2)

            again = roll_out(person, 1)
            until_ended(person, again, "succeeded")
        running.stop()
        with Node(folder, url, "", engine) as node:
            node.until_ready()
            assert get(port)[1] == b"one", "a restart without the master serves what served last"


def test_a_last_good_form_outlives_a_restart_without_the_master(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    admin = {"match": {"path": {"prefix": "/admin"}}, "upstream": "secret"}
    good = {
        ("listeners", "web"): {"address": f"127.0.0.1:{port}", "default": True},
        ("routes", "all"): {"upstream": "app"},
        ("routes", "admin"): admin,
        ("upstreams", "app"): {"endpoints": [one.address]},
        ("upstreams", "secret"): {"endpoints": [two.address]},
    }
    broken = {**good, ("routes", "admin"): {**admin, "wrong": 1}}
    forms = folder / "s" / "master" / "bundles" / "forms.json"
    with AgentMaster() as running:
        with RunningAgent(folder, running, running.token()):
            running.until(running.publish(good), Phase.SERVING)
            assert not forms.exists(), "nothing is quarantined"
            running.until(running.publish(broken), Phase.SERVING)
            assert get(port, "/admin") == (200, b"two")
            assert forms.exists()
        running.stop()
        with RunningAgent(folder, running, None) as node:
            node.until_ready()
            assert get(port, "/admin") == (200, b"two"), "the form before the restart"
            # The data plane serves before the control process has read its last good revision.
            quarantined = 'headgate_config_quarantined{kind="route",form="last good"} 1'
            page = partial(node.admin, "GET", "/metrics")
            until(lambda: quarantined in page()[1].decode(), "the metric of what is quarantined")
        # Without the form the route cannot be served, and is closed; it does not fall through.
        forms.write_text("not JSON")
        with RunningAgent(folder, running, None) as node:
            node.until_ready()
            until(lambda: get(port, "/admin")[0] == 503, "the route is closed")
            assert get(port, "/")[1] == b"one"
            running.start()
            until(node.is_connected, "the agent is back")
            running.until(running.publish(good), Phase.SERVING)
            assert get(port, "/admin") == (200, b"two")
        assert not forms.exists(), "nothing is quarantined any more"
