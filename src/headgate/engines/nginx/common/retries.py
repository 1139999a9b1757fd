"""What model and nginx agree on about retries."""

from typing import Final

UNLIMITED: Final = 1_000_000
"""Retries in a second that no node gets to: a budget of as many is none, and nginx has none."""
