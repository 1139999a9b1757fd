"""A real agent and masters of other versions."""

from dataclasses import replace
from pathlib import Path

from agent_master import AgentMaster, RunningAgent
from running_node import Upstream, get
from waiting import until

from headgate.fleet.frames import NEWEST_PROTOCOL, Phase

_NEXT = NEWEST_PROTOCOL + 1


def test_a_master_one_version_newer_drives_the_agent_and_one_beyond_tells_it_to_upgrade(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    def config(upstream: str) -> dict[tuple[str, str], object]:
        return {
            ("listeners", "web"): {"address": f"127.0.0.1:{port}", "default": True},
            ("routes", "all"): {"upstream": "app"},
            ("upstreams", "app"): {"endpoints": [upstream]},
        }

    with AgentMaster() as master:
        now = master.live.terms
        newer = replace(now, oldest_protocol=NEWEST_PROTOCOL, newest_protocol=_NEXT)
        master.stop()
        master.live.terms = newer
        master.start()
        with RunningAgent(folder, master, master.token()) as agent:
            master.until(master.publish(config(one.address)), Phase.SERVING)
            assert get(port)[1] == b"one"

            master.stop()
            master.live.terms = replace(now, oldest_protocol=_NEXT, newest_protocol=_NEXT)
            master.start()
            said = f"the master {_NEXT} to {_NEXT}; upgrade the older one"
            until(lambda: said in agent.command("status").stdout, "the agent says what is wrong")
            assert get(port)[1] == b"one", "what served serves on"
