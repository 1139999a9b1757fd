"""The name of a set of config resources. The command line uses this module: it imports nothing."""

from typing import Final

DEFAULT_SET: Final = "default"
"""The set of whoever names none."""
