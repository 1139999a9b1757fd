"""Keeps the certificate that the fleet's CA issues to this data plane: has it, renews it.

While the master is away the last certificate stays, and the last word on who the control plane is.
"""

import asyncio
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from headgate.fleet.pacing import Jitter
from headgate.kernel.errors import Invalid
from headgate.node.agent.counterpart import Counterpart
from headgate.node.agent.enrolling import EnrolmentError, Office
from headgate.node.agent.office import DATA_PLANES, Newcomer, RestOffice, join_token
from headgate.node.agent.renewing import Renewed
from headgate.node.agent.url import master_url
from headgate.node.remote.credentials import CredentialsError
from headgate.providers.master.identity import Identity, IdentityError, IdentityStore

_EARLIEST: Final = 1 / 2
_LATEST: Final = 2 / 3
"""The parts of a certificate's life between which it is renewed."""

_log = structlog.get_logger()


class EnrolmentRefusedError(CredentialsError):
    """The master does not take this data plane; the message says why and what to do."""


class Keeper:
    """Enrols a data plane once, and renews its certificate in time."""

    def __init__(
        self,
        office: Office,
        identities: IdentityStore,
        counterpart: Counterpart,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._office = office
        self._identities = identities
        self._counterpart = counterpart
        self._clock = clock
        self._due = 0.0
        self._renewed = Renewed()
        self.error = ""
        """The reason why there is no certificate, or no newer one; empty: there is."""

    async def run(self) -> None:
        """Works until cancelled; raises EnrolmentRefusedError if the token or what is on the disk
        is of no use."""
        identity = await self._enrolled()
        self._due = self.due(identity)
        jitter = Jitter(random.random)
        while True:
            identity = await self.look(identity)
            if not self.error:
                jitter.reset()
            pause_s = jitter.wait_s() if self.error else self._counterpart.pause_s()
            await asyncio.sleep(pause_s)

    async def look(self, identity: Identity) -> Identity:
        """Asks who the control plane is, and renews the certificate if it is time, or if the
        fleet's authorities have changed; returns the identity as it is then."""
        state = await self._counterpart.look()
        rotates = state is not None and (state.is_outdated or state.authorities != identity.ca)
        now = self._clock()
        is_early = now < self._due and not Renewed.is_behind(identity, now)
        if not rotates and (is_early or self._renewed.left_s(now)):
            return identity
        try:
            fresh = await self._office.renew(identity)
            await asyncio.to_thread(self._identities.keep, fresh)
        except (EnrolmentError, OSError) as error:
            self._failed("the certificate was not renewed", error, self._way_out(error))
            return identity
        self.error = ""
        self._due = self.due(fresh)
        self._renewed.begin(fresh, now)
        self._counterpart.hasten()
        _log.info("link.certificate_issued", until=fresh.not_after)
        return fresh

    @staticmethod
    def due(identity: Identity) -> float:
        """Returns a time (Unix seconds) to renew at, another one for each data plane."""
        life = identity.not_after - identity.not_before
        return identity.not_before + life * random.uniform(_EARLIEST, _LATEST)  # noqa: S311

    async def _enrolled(self) -> Identity:
        jitter = Jitter(random.random)
        while True:
            try:
                found = await asyncio.to_thread(self._identities.identity)
                if found is None:
                    found = await self._office.enrol()
                    await asyncio.to_thread(self._identities.keep, found)
                    _log.info("link.enrolled", control_plane=found.agent)
                self.error = ""
                return found
            except (EnrolmentError, IdentityError, OSError) as error:
                self._failed("this data plane has not enrolled", error)
                if isinstance(error, IdentityError) or getattr(error, "is_final", False):
                    raise EnrolmentRefusedError(self.error) from error
            await asyncio.sleep(jitter.wait_s())

    def _way_out(self, error: Exception) -> str:
        if not getattr(error, "is_final", False):
            return ""
        return f"; to enrol again, remove {self._identities.folder} and give a new join token"

    def _failed(self, what: str, error: Exception, more: str = "") -> None:
        text = f"{what}: {error}{more}"
        if text != self.error:
            _log.warning("link.not_issued", error=text)
        self.error = text


def keeper_of(master: str, folder: Path) -> Keeper:
    """Returns the keeper of a data plane of this master, with the join token of the environment;
    raises EnrolmentRefusedError for an address that is none."""
    try:
        url = master_url(master)
    except Invalid as wrong:
        raise EnrolmentRefusedError(str(wrong)) from None
    identities = IdentityStore(folder)
    newcomer = Newcomer(socket.gethostname())
    office = RestOffice(url, identities, join_token(), newcomer, DATA_PLANES)
    return Keeper(office, identities, Counterpart(office, identities))
