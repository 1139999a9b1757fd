"""Replacing the binary of a running nginx."""

from headgate.engines.nginx.upgrade.driver import Times, Upgraded, upgrade
from headgate.engines.nginx.upgrade.machine import State

__all__ = ["State", "Times", "Upgraded", "upgrade"]
