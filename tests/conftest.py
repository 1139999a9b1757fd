"""What holds for every test: property tests count examples, not seconds; a busy machine is no
failure; the longest tests begin first; a test leaves the process as it found it; the collector does
not look at every test and module again and again."""

import gc
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from shares import dealt

from headgate.kernel import collector

collector.relax()
settings.register_profile(
    "headgate", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("headgate")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deals tests that name a time of their own first: at the end of a run, all but one of its
    processes would wait for them. Refuses two tests of one id: pytest forgets that one failed when
    the other passes."""
    for item in items:
        # schemathesis 4.32 names its tests by operation; pytest 9.2 does not take that into ids.
        if item.id.params is None and item.name.endswith("]"):
            item._id = item.id.with_params(item.name.partition("[")[2][:-1])
    twice = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if twice:
        raise pytest.UsageError(f"two tests have the id {twice[0]}")
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = dealt(items, _seconds, processes)


def _seconds(item: pytest.Item) -> float:
    """The seconds that a test names; 0 if it names none."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0


def pytest_collection_finish() -> None:
    """Leaves alone, from now on, what stays until the end."""
    gc.freeze()


def _process() -> dict[str, object]:
    """What all tests of a process share, and a test could leave changed for the next one."""
    umask = os.umask(0o022)
    os.umask(umask)
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST")}
    return {"umask": oct(umask), "folder": str(Path.cwd()), "environment": environment}


@pytest.fixture(autouse=True)
def process_stays_as_it_was() -> Iterator[None]:
    """Fails the test that changes the process, not one that happens to run after it."""
    before = _process()
    yield
    assert _process() == before
