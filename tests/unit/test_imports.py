"""Modules that import each other can each be imported first."""

from __future__ import annotations

import subprocess
import sys

import grimp
import pytest


def circles() -> list[str]:
    """The modules that import themselves through others, imports for types apart."""
    graph = grimp.build_graph("headgate", exclude_type_checking_imports=True, cache_dir=None)
    below = {module: graph.find_upstream_modules(module) for module in graph.modules}
    direct = graph.find_modules_directly_imported_by
    return sorted(m for m in graph.modules if any(m in below[other] for other in direct(m)))


@pytest.mark.parametrize("module", circles())
def test_a_module_of_a_circle_can_be_imported_first(module: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", f"import {module}"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
