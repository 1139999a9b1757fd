"""The authorities of a fleet while one takes over from another: data, and what each step makes of
it.

| stage     | who issues | who is trusted | next                                           |
|-----------|------------|----------------|------------------------------------------------|
| steady    | one        | one            | `announced`: every agent learns of both        |
| announced | the old    | both           | `switched`, once every agent knows both        |
| switched  | the new    | both           | `finished`, once no certificate of the old one |
|           |            |                | is in use                                      |
"""

import datetime as dt
from dataclasses import dataclass

from cryptography import x509

from headgate.certificates.authority import Authority, agent_of_certificate
from headgate.kernel.errors import Invalid


@dataclass(frozen=True)
class Authorities:
    """The authorities of a fleet, oldest first. `issuing` is the index of the one that issues."""

    listed: tuple[Authority, ...]
    issuing: int = 0

    @property
    def issuer(self) -> Authority:
        """The one that issues."""
        return self.listed[self.issuing]

    @property
    def pem(self) -> bytes:
        """All that are trusted, in PEM."""
        return b"".join(one.pem for one in self.listed)

    @property
    def stage(self) -> str:
        """`steady`, `announced` or `switched`."""
        if len(self.listed) == 1:
            return "steady"
        return "switched" if self.issuing else "announced"

    def agent_of(self, certificate: x509.Certificate, now: dt.datetime) -> str | None:
        """Returns the agent whose valid certificate this is; None if it is no agent's of ours."""
        trusted = [one.certificate for one in self.listed]
        return agent_of_certificate(certificate, trusted, now)

    def announced(self, successor: Authority) -> "Authorities":
        """Returns the authorities with a second one that is trusted. Raises Invalid unless one is
        alone."""
        if self.stage != "steady":
            raise Invalid(f"a rotation is under way ({self.stage})", "finish it first")
        return Authorities((*self.listed, successor), 0)

    def switched(self) -> "Authorities":
        """Returns them with the new one issuing. Raises Invalid unless it was announced."""
        if self.stage != "announced":
            raise Invalid(f"the rotation is {self.stage}", "announce a new authority first")
        return Authorities(self.listed, 1)

    def finished(self) -> "Authorities":
        """Returns the new one alone. Raises Invalid unless it issues."""
        if self.stage != "switched":
            raise Invalid(f"the rotation is {self.stage}", "switch to the new authority first")
        return Authorities(self.listed[1:], 0)


class Revocations:
    """The revocations, in memory: agents with every certificate, and single certificates."""

    def __init__(self) -> None:
        self._agents: set[str] = set()
        self._serials: set[str] = set()

    def revoke_agent(self, agent_id: str) -> None:
        """From now on no certificate of this agent counts."""
        self._agents.add(agent_id)

    def revoke_certificate(self, serial: str) -> None:
        """From now on the certificate with this serial number (lower-case hex) does not count."""
        self._serials.add(serial)

    def is_revoked(self, agent_id: str, serial: str) -> bool:
        """Says whether either of them was revoked."""
        return agent_id in self._agents or serial in self._serials
