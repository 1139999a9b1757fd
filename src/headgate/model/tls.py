"""`[certificates.NAME]` and `[tls_policies.NAME]`."""

from collections.abc import Iterator, Set
from typing import Annotated, Final, Literal

from pydantic import Field

from headgate.features.base import Checked, Options
from headgate.features.fields import Alpn, Flag
from headgate.kernel.errors import Invalid

CipherSuite = Literal[
    "TLS13_AES_256_GCM_SHA384",
    "TLS13_AES_128_GCM_SHA256",
    "TLS13_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
]
BUILT_IN_POLICY: Final = "default"
"""The policy that is always there; naming it is naming none."""

Group = Literal["x25519mlkem768", "x25519", "secp256r1", "secp384r1"]
TlsVersion = Literal["1.2", "1.3"]


class Certificate(Options):
    """A key pair from files; relative paths are relative to the document."""

    cert_file: str = Field(description="The PEM file of the certificate chain, leaf first.")
    key_file: str = Field(description="The PEM file of the private key.")
    ocsp_file: str | None = Field(
        default=None, description="The DER file of an OCSP response to staple."
    )


class ClientAuth(Options):
    """Certificates of clients."""

    ca_file: str = Field(
        description="The PEM file of the roots that sign the clients' certificates."
    )
    crl_file: str | None = Field(
        default=None,
        description="The PEM file of revocation lists, one for each authority. A certificate is"
        " refused if it is revoked, or if its authority has no valid list in the "
        "file.",
    )
    required: Flag = Field(default=True, description="Refuse clients that send no certificate.")


class TlsPolicy(Checked):
    """Versions, ciphers and client authentication."""

    min_version: TlsVersion = Field(default="1.2", description="The lowest TLS version.")
    max_version: TlsVersion = Field(default="1.3", description="The highest TLS version.")
    cipher_suites: Annotated[list[CipherSuite], Field(min_length=1)] | None = Field(
        default=None,
        description="Cipher suites in order of preference; absent = every suite that is "
        "considered safe.",
    )
    groups: Annotated[list[Group], Field(min_length=1)] | None = Field(
        default=None,
        description="Key exchange groups that are allowed; the client's order of preference "
        "decides among them. Absent = `x25519mlkem768`, `x25519`, `secp256r1`, "
        "`secp384r1`.",
    )
    alpn: Annotated[list[Alpn], Field(min_length=1)] | None = Field(
        default=None,
        description="Protocols offered by ALPN, in order of preference. HTTP clients are offered "
        "`h2` and `http/1.1` of them; absent = both. Without `h2` they get HTTP/1.1 only. Clients "
        'of listeners with `protocol = "tcp"` are offered all of them; absent = none.',
    )
    client_auth: ClientAuth | None = Field(
        default=None,
        description="Authentication of clients by certificate; absent = clients are not asked "
        "for one.",
    )
    tickets: Flag = Field(
        default=True, description="Whether clients may resume sessions with tickets."
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error unless the versions are in order, and for a protocol over QUIC."""
        for index, name in enumerate([] if "alpn" in wrong else self.alpn or []):
            if name == "h3":
                allowed = 'leave it out: clients get "h2" and "http/1.1"'
                yield Invalid("this version has no HTTP/3", allowed, at=("alpn", index))
        if self.min_version > self.max_version and not {"min_version", "max_version"} & wrong:
            yield Invalid(
                f'min_version "{self.min_version}" is above max_version "{self.max_version}"',
                "write a max_version that is at least as high",
                at=("max_version",),
            )
