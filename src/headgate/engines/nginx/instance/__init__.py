"""Handles a real nginx: its processes, its binary, our rights over it, the world it sees."""

from headgate.engines.nginx.instance.find import SeveralMastersError
from headgate.engines.nginx.instance.instance import NginxInstance
from headgate.engines.nginx.instance.place import Place
from headgate.engines.nginx.instance.running import NotStartedError

__all__ = ["NginxInstance", "NotStartedError", "Place", "SeveralMastersError"]
