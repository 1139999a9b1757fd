"""Finds what the folders of middlewares and balancers hold."""

from importlib import import_module
from types import ModuleType
from typing import Literal, cast

from headgate.features.base import BalancerOptions, MiddlewareOptions

Sort = Literal["middleware", "balancer"]
"""The features whose folders are found by their names."""


def module_of(sort: Sort, folder: str, name: str) -> ModuleType:
    """Returns a module of a feature's folder, such as `nginx`."""
    return import_module(f"headgate.features.{sort}.{folder}.{name}")


def middlewares(*folders: str) -> tuple[type[MiddlewareOptions], ...]:
    """Returns the options that `spec.py` of each folder defines.

    Raises `TypeError` unless a folder has exactly one class whose `key` is the folder's name.
    """
    found = [_options("middleware", folder, MiddlewareOptions) for folder in folders]
    return cast(tuple[type[MiddlewareOptions], ...], tuple(found))


def balancers(*folders: str) -> tuple[type[BalancerOptions], ...]:
    """Returns the same of balancers."""
    found = [_options("balancer", folder, BalancerOptions) for folder in folders]
    return cast(tuple[type[BalancerOptions], ...], tuple(found))


def _options(sort: Sort, folder: str, base: type) -> type:
    spec = module_of(sort, folder, "spec")
    found = [
        one
        for one in vars(spec).values()
        if isinstance(one, type)
        and issubclass(one, base)
        and one.__module__ == spec.__name__
        and getattr(one, "key", None) == folder
    ]
    if len(found) != 1:
        raise TypeError(f'{spec.__name__} has {len(found)} options with the key "{folder}"')
    return found[0]
