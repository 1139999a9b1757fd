"""Hands plans straight to a data plane and says how long it took; run by headgate's own Python.

    python apply_plan.py GRPC_SOCKET CONFIG…

Serves the first config, then each next one; prints a JSON list with, for each after the first,
`wall_us` (by the wall clock: from the hand-over of the plan in this process to the answer that the
last worker serves it, with the plan's encoding and its way over the socket), of it `compile_us` and
`swap_us` (the data plane's own clock) and `objects` changed.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from headgate.compile.load import load
from headgate.engines.native.engine import NativeEngine
from headgate.engines.native.types import Applied
from headgate.plan.plan import diff
from headgate.providers.file.disk import DiskFiles


async def main(grpc_socket: str, configs: list[Path]) -> int:
    """Applies; the exit code."""
    engine = NativeEngine("bench")
    await engine.connect(grpc_socket)
    found: list[dict[str, float]] = []
    before = None
    for name in configs:
        loaded = load([name], DiskFiles(), os.environ)
        if loaded.plan is None:
            sys.stderr.write(f"{name}: {loaded.diagnostics[0]}\n")
            return 1
        changed = len(diff(before, loaded.plan).puts) if before else 0
        start = time.perf_counter()
        done = await engine.apply(loaded.plan, loaded.blobs)
        wall_us = (time.perf_counter() - start) * 1e6
        if not isinstance(done, Applied):
            sys.stderr.write(f"{name}: {done}\n")
            return 1
        if before is not None:
            found.append(
                {
                    "compile_us": float(done.compile_us),
                    "swap_us": float(done.swap_us),
                    "wall_us": wall_us,
                    "objects": float(changed),
                }
            )
        before = loaded.plan
    await engine.close()
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], [Path(name).absolute() for name in sys.argv[2:]])))
