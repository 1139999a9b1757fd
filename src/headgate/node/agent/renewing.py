"""Keeps renewals of a certificate apart while the clocks of a node and its master disagree. Pure.

A master says by its own clock how long a certificate lasts. By a clock that is far ahead of it,
each fresh certificate is due at once; by one that is far behind, none is before it has ended there.
"""

from typing import Final

from headgate.providers.master.identity import Identity

_SHARE: Final = 1 / 12
"""The part of a certificate's life that passes between two renewals at least."""


class Renewed:
    """The last renewal by this process, by the node's clock."""

    def __init__(self) -> None:
        self._at = self._until = 0.0

    @staticmethod
    def is_behind(identity: Identity, now: float) -> bool:
        """Says whether this clock is too far behind the master's to time a renewal: by it, the
        certificate's life has not begun, and at the master it goes on."""
        return identity.not_before - now > (identity.not_after - identity.not_before) * _SHARE

    def begin(self, fresh: Identity, now: float) -> None:
        """Counts from a certificate that has just come."""
        self._at = now
        self._until = now + (fresh.not_after - fresh.not_before) * _SHARE

    def left_s(self, now: float) -> float:
        """Returns how long not to renew yet; 0: it may be."""
        if now < self._at:
            # The clock was set back: it may be right now.
            self._at = self._until = 0.0
        return max(self._until - now, 0.0)
