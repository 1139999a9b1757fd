"""A master and an agent as processes: from a join token to a config that serves, and revocation."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from agent_master import OWN
from master_process import MasterProcess, call, master
from running_node import RunningNode, Upstream, get
from waiting import until

W = "/api/v1/workspaces/default"


class Operator:
    """Somebody who uses the REST API over the fleet's TLS."""

    def __init__(self, one: MasterProcess) -> None:
        self.base, token = one.link()
        # Before anything is trusted: the authority, as a node gets it.
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        body = {"token": token, "name": "ann", "password": "correct horse battery"}
        self.token = str(self.ask("/api/v1/auth/setup", body)["access_token"])

    def ask(self, path: str, body: object = None, method: str | None = None) -> Any:
        """One request."""
        token = getattr(self, "token", "")
        return call(f"{self.base}{path}", body, token, self.context, method)

    def agent(self) -> dict[str, Any]:
        """The only agent; empty before it enrolled."""
        items = self.ask(f"{W}/agents")["items"]
        return dict(items[0]) if items else {}


class Node(RunningNode):
    """`headgate agent` of a master."""

    def __init__(self, folder: Path, url: str, token: str) -> None:
        self._url = url
        super().__init__(folder, OWN, "--engine", "native", HEADGATE_AGENT_TOKEN=token)

    def _start(self, command: list[str], *arguments: str, **env: str) -> Any:
        own = ["--config", str(self.config)]
        return super()._start(["agent", "--master-url", self._url, *own], *arguments, **env)


def put(person: Operator, port: int, upstream: str) -> None:
    """Makes the resources of a config."""
    for path, spec in (
        ("listeners/web", {"address": f"127.0.0.1:{port}", "default": True}),
        ("routes/all", {"upstream": "app"}),
        ("upstreams/app", {"endpoints": [upstream]}),
    ):
        person.ask(f"{W}/resources/{path}", {"spec": spec}, "PUT")


@pytest.mark.parametrize("scheme", ["grpcs", "wss"])
def test_what_is_published_serves_and_a_revoked_agent_is_cut_off(
    folder: Path, port: int, one: Upstream, two: Upstream, scheme: str
) -> None:
    (folder / "m").mkdir()
    with master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running:
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        assert ".sha256:" in token
        rest, grpc = person.base.rpartition(":")[2], running.agents_port()
        urls = {
            "grpcs": f"grpcs://127.0.0.1:{grpc}?rest={rest}",
            "wss": f"wss://127.0.0.1:{rest}",
        }
        with Node(folder, urls[scheme], token) as node:
            until(lambda: person.agent().get("state") == "connected", "a connected agent")
            put(person, port, one.address)
            made = person.ask(f"{W}/revisions", {"fleet": "edge"})
            until(lambda: person.agent()["revisions"]["serving"] == made["number"], "it is serving")
            assert get(port)[1] == b"one"
            shown = person.agent()
            assert (shown["phase"], shown["error"]) == ("serving", None)
            person.ask(f"{W}/agents/{shown['id']}/revocation", {}, "POST")
            until(lambda: node.metric("headgate_master_connected") == 0, "the stream is cut")
            # What it serves stays; what is published from now on does not reach it.
            put(person, port, two.address)
            assert person.ask(f"{W}/revisions", {"fleet": "edge"})["number"] == 2
            shown = person.agent()
            assert (shown["state"], shown["revisions"]["serving"]) == ("revoked", 1)
            assert get(port)[1] == b"one"
        assert running.stop() == 0


def test_a_rollout_goes_on_by_what_the_nodes_themselves_measure(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    (folder / "m").mkdir()
    with master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running:
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        rest, grpc = person.base.rpartition(":")[2], running.agents_port()
        with Node(folder, f"grpcs://127.0.0.1:{grpc}?rest={rest}", token):
            put(person, port, one.address)
            first = person.ask(f"{W}/revisions", {"fleet": "edge"})["number"]
            until(lambda: serving(person) == first, "the first revision is serving")
            put(person, port, two.address)
            made = {"fleet": "edge", "is_served": False}
            second = person.ask(f"{W}/revisions", made)["number"]
            wanted = {"fleet": "edge", "revision": second, "waves": ["rest"], "soak_s": 1}
            rollout = person.ask(f"{W}/rollouts", {**wanted, "gates": {"min_requests": 0}})
            path = f"{W}/rollouts/{rollout['id']}"
            until(lambda: person.ask(path)["status"] == "succeeded", "the rollout has succeeded")
            assert serving(person) == second
            assert get(port)[1] == b"two"


def serving(person: Operator) -> int | None:
    """The revision that the agent proved to serve."""
    found: int | None = person.agent().get("revisions", {}).get("serving")
    return found
