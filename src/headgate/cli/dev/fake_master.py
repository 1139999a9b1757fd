"""`headgate dev fake-master`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from headgate.cli.output import BAD_CONFIG, complain

if TYPE_CHECKING:
    import asyncio

    from headgate.master.dev.fake_master import FakeMaster


def fake_master(
    config: Annotated[
        Path,
        typer.Argument(
            metavar="DIRECTORY",
            exists=True,
            file_okay=False,
            help="A directory with TOML or JSON documents.",
        ),
    ],
    rest_port: Annotated[int, typer.Option(help="The port of the REST API; 0 = any.")] = 8080,
    grpc_port: Annotated[int, typer.Option(help="The port for agents; 0 = any.")] = 8443,
    authority: Annotated[
        Path | None, typer.Option(help="A folder that keeps the authority across restarts.")
    ] = None,
    heartbeat_s: Annotated[float, typer.Option(min=0.05, help="Seconds between heartbeats.")] = 10,
) -> None:
    """Serve a directory of config to agents, on loopback, from memory.

    The first line of output has the ports, a join token and the pin of the authority, as JSON.

    \b
    Example:
      headgate dev fake-master config/
    """
    import asyncio

    from headgate.fleet.master_session import Terms
    from headgate.kernel.errors import Invalid
    from headgate.master.dev.fake_master import FakeMaster, Places
    from headgate.master.dev.swarm import TooFewDescriptorsError, allow_descriptors

    places = Places(config, "127.0.0.1", rest_port, grpc_port, authority)
    try:
        allow_descriptors(0)
        master = FakeMaster(places, Terms(heartbeat_s=heartbeat_s))
        asyncio.run(_serve(master))
    except Invalid as error:
        raise complain(str(error), BAD_CONFIG) from None
    except (OSError, TooFewDescriptorsError) as error:
        raise complain(str(error)) from None


async def _serve(master: "FakeMaster") -> None:
    import asyncio
    import contextlib
    import signal

    ready = asyncio.Event()
    running = asyncio.create_task(master.run(ready))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(running, _announce(master, ready))


async def _announce(master: "FakeMaster", ready: "asyncio.Event") -> None:
    await ready.wait()
    told = {
        "rest": f"127.0.0.1:{master.rest_port}",
        "grpc": f"127.0.0.1:{master.grpc_port}",
        "token": master.token,
        "pin": master.pin,
    }
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    sys.stdout.flush()
