"""A config with one upstream, to which a test adds keys."""

from pathlib import PurePath

from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Upstream

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
upstream = "u"
[upstreams.u]
endpoints = ["127.0.0.1:1"]
"""


def loaded(rest: str, files: dict[str, str] | None = None) -> Loaded:
    """Loads the config with these lines in its upstream."""
    return load([PurePath("a.toml")], MemoryFiles({"a.toml": BASE + rest} | (files or {})), {})


def upstream(rest: str) -> Upstream:
    """Returns the upstream of the plan."""
    found = loaded(rest)
    assert found.plan is not None, [str(one) for one in found.errors]
    value = found.plan.objects[ObjectKey("upstream", ObjectName("u"))].value
    assert isinstance(value, Upstream)
    return value
