"""The one-shot entry point: paths → `Loaded`."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from headgate.compile.compiler import Compiler
from headgate.compile.loaded import Loaded
from headgate.compile.sources import Given
from headgate.model.files import Files


def load(
    paths: Sequence[PurePath | Given], files: Files, env: Mapping[str, str], instance: str = ""
) -> Loaded:
    """Returns what the documents at `paths` say:
    plan, blobs, node settings and every diagnostic.

    `instance`: the one of the node's instances whose settings count.
    Without paths the environment alone is the config. Use a `Compiler` to load again and again.
    """
    return Compiler(instance=instance).load(paths, files, env)
