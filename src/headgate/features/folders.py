"""Finds what the folders of middlewares hold."""

from importlib import import_module
from types import ModuleType

from headgate.features.base import MiddlewareOptions


def module_of(folder: str, name: str) -> ModuleType:
    """Returns a module of a middleware's folder, such as `nginx`."""
    return import_module(f"headgate.features.middleware.{folder}.{name}")


def middlewares(*folders: str) -> tuple[type[MiddlewareOptions], ...]:
    """Returns the options that `spec.py` of each folder defines.

    Raises `TypeError` unless a folder has exactly one class whose `key` is the folder's name.
    """
    return tuple(_options(folder) for folder in folders)


def _options(folder: str) -> type[MiddlewareOptions]:
    spec = module_of(folder, "spec")
    found = [
        one
        for one in vars(spec).values()
        if isinstance(one, type)
        and issubclass(one, MiddlewareOptions)
        and one.__module__ == spec.__name__
        and one.key == folder
    ]
    if len(found) != 1:
        raise TypeError(f'{spec.__name__} has {len(found)} options with the key "{folder}"')
    return found[0]
