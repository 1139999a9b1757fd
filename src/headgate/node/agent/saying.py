"""An agent's report to its master on its identity."""

from cryptography import x509

from headgate.certificates.authority import pin
from headgate.certificates.identity import serial_of
from headgate.fleet.frames import Identity as Said
from headgate.providers.master.identity import Identity


def said_of(identity: Identity) -> Said | None:
    """Returns whom the agent trusts and the serial number of its certificate; None if what it
    holds cannot be read, with which no master lets it in either."""
    try:
        trusted = x509.load_pem_x509_certificates(identity.ca.encode())
        leaf = x509.load_pem_x509_certificate(identity.certificate.encode())
    except ValueError:
        return None
    return Said(tuple(pin(one) for one in trusted), serial_of(leaf))
