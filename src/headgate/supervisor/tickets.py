"""Keeps the secrets from which data planes make TLS session ticket keys.

They live in the supervisor's memory only, so that tickets survive an upgrade or a crash of the data
plane and are worthless once the node has stopped. Each day its hash replaces the current secret: a
leak today opens no session of yesterday that was resumed with an older ticket.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha256
else:  # hashlib would map OpenSSL into the process (4 MB); Python 3.12 renamed the module
    try:
        from _sha2 import sha256
    except ImportError:
        from _sha256 import sha256

PERIOD_S = 86_400.0
_LABEL = b"headgate ticket ratchet\0"


def ratchet(secret: bytes) -> bytes:
    """Returns the secret that follows `secret`; 32 bytes."""
    return sha256(_LABEL + secret).digest()


class TicketSecrets:
    """The current and the previous secret, and how often they were ratcheted.

    >>> secrets = TicketSecrets(bytes(32))
    >>> secrets.epoch, len(secrets.hex())
    (0, 1)
    >>> secrets.advance()
    >>> secrets.epoch, len(secrets.hex())
    (1, 2)
    """

    def __init__(self, seed: bytes) -> None:
        self._secrets = [seed]
        self.epoch = 0

    def advance(self) -> None:
        """Ratchets once; the current secret becomes the previous one."""
        self._secrets = [ratchet(self._secrets[0]), self._secrets[0]]
        self.epoch += 1

    def hex(self) -> list[str]:
        """Returns the current secret and, after the first day, the previous one."""
        return [secret.hex() for secret in self._secrets]
