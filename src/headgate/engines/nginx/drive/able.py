"""The words by which a master knows what an nginx of its fleet can do."""

from pathlib import Path

from headgate.compile.settings import NginxSettings
from headgate.engines.nginx import capabilities
from headgate.engines.nginx.common.types import Capabilities
from headgate.engines.nginx.drive.setup import place_of, system_roots
from headgate.engines.nginx.instance import NginxInstance


def probed_before(root: Path, settings: NginxSettings) -> Capabilities | None:
    """Returns what the nginx accepts that would be driven; None where none would be.

    What was found stays below `root`, so that the first apply does not ask again. Raises
    CannotDriveError, NotProbedError, RightMissingError, OSError.
    """
    if settings.mode == "observe":
        return None
    instance = NginxInstance(place_of(root, settings))
    return capabilities.probe(capabilities.binary_of(instance), root).capabilities


def words(found: Capabilities, settings: NginxSettings) -> tuple[str, ...]:
    """Returns what the nginx accepts, the modules that it loads, and how it is driven; `settings`
    are those of the node itself, without what a master sends."""
    said = {*found.accepted, f"mode={settings.mode}", f"endpoints={settings.endpoints}"}
    said.add("takes-imports")
    said |= {f"module={name}" for name in found.modules}
    if settings.imported is not None:
        said.add("imported")
    if system_roots() is not None:
        said.add("system-roots")
    return tuple(sorted(said))
