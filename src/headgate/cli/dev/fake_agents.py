"""`headgate dev fake-agents`."""

from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.output import Format, Output, complain, show

if TYPE_CHECKING:
    from headgate.master.dev.joining import Rest
    from headgate.master.dev.simulated import Enrolment


def fake_agents(
    count: Annotated[int, typer.Argument(metavar="N", min=1, help="The number of agents.")],
    token: Annotated[str, typer.Option(help="The join token that the master printed.")],
    pin: Annotated[str, typer.Option(help="The pin of the master's authority.")],
    rest: Annotated[
        str, typer.Option(help="The address of the master's REST API.")
    ] = "127.0.0.1:8080",
    grpc: Annotated[
        str, typer.Option(help="The address to which agents connect.")
    ] = "127.0.0.1:8443",
    publish: Annotated[int, typer.Option(min=0, help="How often to publish and measure.")] = 3,
    complete: Annotated[
        bool, typer.Option(help="Make the master send complete manifests instead of differences.")
    ] = False,
    output: Output = Format.TEXT,
) -> None:
    """Connect simulated agents to a fake master and measure how fast they get what it publishes.

    Each agent has its own certificate, connection and session, and serves at once what it is
    offered. The master measures the times, from publishing to the report of each agent.

    \b
    Example:
      headgate dev fake-agents 1000 --token TOKEN --pin sha256:…
    """
    import asyncio

    from headgate.kernel.errors import Invalid
    from headgate.master.dev.joining import JoinError, Rest
    from headgate.master.dev.swarm import TooFewDescriptorsError, allow_descriptors

    try:
        allow_descriptors(count)
        master = Rest(rest, pin)
        agents = [master.enrol(token) for _ in range(count)]
        result = asyncio.run(_measure(master, agents, grpc, (publish, complete)))
    except (JoinError, TooFewDescriptorsError, Invalid, TimeoutError, OSError) as error:
        raise complain(str(error) or "the agents did not get ready in time") from None
    show(result, output, _text)


async def _measure(
    rest: "Rest", agents: "list[Enrolment]", target: str, how: tuple[int, bool]
) -> dict[str, object]:
    from dataclasses import asdict

    from headgate.master.dev.swarm import Swarm, published

    times, complete = how
    async with Swarm(agents, target) as swarm:
        connected_s = await swarm.until_live()
        rounds = [asdict(await published(rest, complete, len(agents))) for _ in range(times)]
        healed_s = await swarm.heal()
    return {
        "agents": len(agents),
        "connected_s": connected_s,
        "rounds": rounds,
        "healed_s": healed_s,
    }


def _text(result: dict[str, object]) -> str:
    lines = [f"{result['agents']} agents connected in {result['connected_s']:.2f} s"]
    rounds = result["rounds"]
    assert isinstance(rounds, list)  # noqa: S101 - for the type checker
    for one in rounds:
        parts = [f"revision {one['revision']}:"]
        for what in ("acknowledged", "serving"):
            p50, p99, last = one[f"{what}_s"]
            parts.append(f"{what} p50 {p50:.3f} s, p99 {p99:.3f} s, last {last:.3f} s;")
        lines.append(" ".join(parts).rstrip(";"))
    lines.append(f"connected again {result['healed_s']:.2f} s after all connections were lost")
    return "\n".join(lines) + "\n"
