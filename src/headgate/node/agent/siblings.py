"""The other instances of an agent: they run the same installation, and go over to what it has now
together, whichever of them the master ordered to."""

import asyncio
from pathlib import Path
from typing import Final

import msgspec
import structlog

from headgate.node.agent.upgrading import HandOver
from headgate.supervisor.statedir import INSTANCES

_ANSWER_S: Final = 5.0
_log = structlog.get_logger()


def together(agent_dir: Path, instance: str, alone: HandOver) -> HandOver:
    """Returns what replaces the control processes of all instances of an agent, that of `instance`,
    by `alone`, last: it does not live to see another one replaced."""

    async def hand_over() -> None:
        for place in sorted((agent_dir / INSTANCES).iterdir()):
            if place.name == instance:
                continue
            try:
                async with asyncio.timeout(_ANSWER_S):
                    await _replace(place / "supervisor.sock")
            except (OSError, ValueError) as error:
                # One that does not run finds what is installed at its next start.
                why = str(error) or type(error).__name__
                _log.info("upgrade.sibling_not_replaced", sibling=place.name, error=why)
        await alone()

    return hand_over


async def _replace(door: Path) -> None:
    """Has a supervisor replace its control process. Raises OSError, ValueError if it refuses."""
    reader, writer = await asyncio.open_unix_connection(door)
    try:
        writer.write(b'{"id":1,"op":"upgrade"}\n')
        answer = msgspec.json.decode(await reader.readline())
        if not isinstance(answer, dict) or answer.get("ok") is not True:
            raise ValueError(f"its supervisor says {answer!r}")
    finally:
        writer.close()
