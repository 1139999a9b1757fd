"""The two ends of a control link with certificates of a fleet's CA, each in a folder."""

import datetime as dt
from pathlib import Path

from cryptography import x509

from headgate.certificates.authority import Authority, create, new_csr, pin
from headgate.node.remote.identity import Known, keep_known
from headgate.node.remote.target import Fleet, Role
from headgate.providers.master.identity import Identity, IdentityStore


def now() -> dt.datetime:
    """The time; certificates are verified by the system's clock."""
    return dt.datetime.now(dt.UTC)


class FleetEnds:
    """A CA, and ends that enrolled at its master."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority: Authority = create("fleet", now())

    def end(self, name: str, role: Role, agent: str, authority: Authority | None = None) -> Fleet:
        """An end with a new certificate; one of that name keeps its key."""
        found = Fleet(str(self.folder / name), role)
        store = IdentityStore(Path(found.folder))
        csr = new_csr(store.key())
        issuer = authority or self.authority
        issue = issuer.client if role == "agent" else issuer.data_plane
        certificate = issue(csr, agent, now()).decode()
        trusted = self.authority.pem.decode()
        store.keep(Identity(agent, "https://master.test", certificate, trusted, ()))
        return found

    def tell(self, one: Fleet, other: Fleet | None, *revoked: str) -> None:
        """Has the master say to one end who the other one is; None: nobody."""
        key = "" if other is None else pin(self.certificate(other))
        keep_known(Path(one.folder), Known(key, list(revoked)))

    @staticmethod
    def certificate(one: Fleet) -> x509.Certificate:
        """The certificate that an end has."""
        identity = IdentityStore(Path(one.folder)).identity()
        assert identity is not None
        return x509.load_pem_x509_certificate(identity.certificate.encode())
