"""The fixtures that the library offers to its users' tests."""

from headgate.testing import proxy, upstream

__all__ = ["proxy", "upstream"]
