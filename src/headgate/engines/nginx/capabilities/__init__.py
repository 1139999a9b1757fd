"""Finds out what an nginx accepts, by asking it."""

from headgate.engines.nginx.capabilities.cache import installed, probe
from headgate.engines.nginx.capabilities.probe import Binary, NotProbedError, Probed, loads
from headgate.engines.nginx.capabilities.snippets import SNIPPETS, Snippet
from headgate.engines.nginx.instance import NginxInstance
from headgate.engines.nginx.instance.modules import Module

__all__ = [
    "SNIPPETS",
    "Binary",
    "Module",
    "NotProbedError",
    "Probed",
    "Snippet",
    "binary_of",
    "installed",
    "loads",
    "probe",
]


def binary_of(instance: NginxInstance) -> Binary:
    """Returns the binary of an instance, to probe it in place; raises as `NginxInstance.test`."""
    return Binary(instance.binary(), instance.place.conf, instance.root(), instance.sandbox())
