"""The values for retries that model and nginx agree on."""

from typing import Final

UNLIMITED: Final = 1_000_000
"""Retries in a second that no node gets to: a budget of as many is none, and nginx has none."""
