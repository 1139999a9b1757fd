"""The examples in docstrings of the library do what they say."""

import doctest
import importlib
import pkgutil

import pytest

import headgate
from headgate import library, testing

MODULES = [
    f"{package.__name__}.{one.name}"
    for package in (library, testing)
    for one in pkgutil.iter_modules(package.__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_package_offers_what_the_library_does() -> None:
    assert sorted(headgate.__all__) == sorted(library.__all__)
    assert all(getattr(headgate, name) is getattr(library, name) for name in library.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Rooter'"):
        headgate.Rooter  # noqa: B018
