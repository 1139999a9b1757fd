"""Asks the master how the other end of the control link is known, and keeps the answer on disk.

While the master is away the last answer counts.
"""

import asyncio
import contextlib
import random
from typing import Final, Protocol

import structlog

from headgate.node.agent.enrolling import EnrolmentError
from headgate.node.agent.office import PeerState
from headgate.node.remote.credentials import CredentialsError
from headgate.node.remote.identity import Known, keep_known, read_known
from headgate.providers.master.identity import Identity, IdentityError, IdentityStore

LOOK_S: Final = 60.0
_SOON_S: Final = 4.0

_log = structlog.get_logger()


class PeerOffice(Protocol):
    """The place that knows the other end."""

    async def peer(self, identity: Identity) -> PeerState:
        """Returns how the other end of the control link is known; raises EnrolmentError."""
        ...


class Counterpart:
    """The other end of a node's control link, as the master knows it."""

    def __init__(self, office: PeerOffice, identities: IdentityStore) -> None:
        self._office = office
        self._identities = identities
        self._known: Known | None = None
        self._error = ""
        self._soon = False

    async def run(self) -> None:
        """Asks until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self.pause_s())

    async def look(self) -> PeerState | None:
        """Asks once; returns the answer, None while there is none or this end has not enrolled."""
        try:
            identity = await asyncio.to_thread(self._identities.identity)
            if identity is None:
                return None
            state = await self._office.peer(identity)
            known = Known(state.key, state.revoked)
            if known != await asyncio.to_thread(self._kept):
                await asyncio.to_thread(keep_known, self._identities.folder, known)
            self._known = known
        except (EnrolmentError, IdentityError, OSError) as error:
            if str(error) != self._error:
                _log.warning("link.peer_unknown", error=str(error))
            self._error = str(error)
            return None
        self._error = ""
        return state

    def _kept(self) -> Known | None:
        with contextlib.suppress(CredentialsError):
            return read_known(self._identities.folder)
        return None

    def hasten(self) -> None:
        """Asks soon: the master is to see the new certificate of this end."""
        self._soon = True

    def pause_s(self) -> float:
        """Returns how long to wait until the next question: those of many nodes are spread. While
        there is no other end, it may come any moment."""
        is_known = self._known is not None and bool(self._known.key)
        longest = LOOK_S if is_known and not self._soon else _SOON_S
        self._soon = False
        return random.uniform(longest / 2, longest)  # noqa: S311 - spreads questions
