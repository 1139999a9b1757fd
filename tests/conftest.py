"""What holds for every test: property tests count examples, not seconds; a busy machine is no
failure; the longest tests begin first."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "headgate", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("headgate")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts tests that ask for more time than usual before the others: at the end of a run, all
    but one of its processes would wait for them."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)
