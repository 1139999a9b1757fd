"""Run as a process of its own, as some user: what it sees of an nginx that is not its own.

Argument: the place, as JSON. Prints JSON.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace

import msgspec

from headgate.engines.nginx.capabilities import binary_of, probe
from headgate.engines.nginx.common.types import RightMissingError
from headgate.engines.nginx.instance import NginxInstance, Place


def tried(what: Callable[[], object]) -> object:
    """What it gave, or which right was missing."""
    try:
        return what()
    except RightMissingError as error:
        return f"right missing: {error}"
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def test(instance: NginxInstance) -> object:
    """A test of the running config."""
    tested = instance.test_running()
    return {"ok": tested.ok, "problems": tested.problems, "warnings": tested.warnings}


def probed(instance: NginxInstance) -> object:
    """How many questions its binary says yes to, and which binary that is."""
    capabilities = probe(binary_of(instance)).capabilities
    return {"accepted": len(capabilities.accepted), "digest": capabilities.binary_digest}


def main() -> None:
    """Looks, tests, probes, signals HUP."""
    place = msgspec.json.decode(sys.argv[1], type=Place)
    instance = NginxInstance(place)
    by_title = NginxInstance(replace(place, pid_path=None))
    master = instance.master()
    answer = {
        "uid": os.geteuid(),
        "master": master.pid if master else None,
        "by_title": (found.pid if (found := by_title.master()) else None),
        "workers": len(instance.workers()),
        "may_signal": instance.may_signal(),
        "isolation": tried(lambda: instance.isolation().isolation),
        "why": tried(lambda: instance.isolation().why),
        "test": tried(lambda: test(instance)),
        "probe": tried(lambda: probed(instance)),
        "start": tried(instance.start) if place.is_sidecar else None,
        "HUP": tried(lambda: instance.signal("HUP")),
    }
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
