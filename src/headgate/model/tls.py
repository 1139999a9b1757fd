"""`[certificates.NAME]` and `[tls_policies.NAME]`."""

from collections.abc import Iterator, Set
from typing import Annotated, Final, Literal

from pydantic import Field

from headgate.features.base import Checked, Options
from headgate.features.fields import Flag
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

    cert_file: str = Field(description="PEM chain, leaf first.")
    key_file: str = Field(description="PEM private key.")
    ocsp_file: str | None = Field(default=None, description="DER OCSP response to staple.")


class ClientAuth(Options):
    """Certificates of clients."""

    ca_file: str = Field(description="PEM bundle of the roots that sign clients' certificates.")
    crl_file: str | None = Field(
        default=None,
        description="PEM bundle of revocation lists, one of each authority; a certificate that is "
        "revoked, or whose authority has no list in it that is still valid, is refused.",
    )
    required: Flag = Field(default=True, description="Refuse clients that send none.")


class TlsPolicy(Checked):
    """Versions, ciphers and client authentication."""

    min_version: TlsVersion = Field(default="1.2", description="Lowest version.")
    max_version: TlsVersion = Field(default="1.3", description="Highest version.")
    cipher_suites: Annotated[list[CipherSuite], Field(min_length=1)] | None = Field(
        default=None, description="Cipher suites in order of preference; absent = all safe ones."
    )
    groups: Annotated[list[Group], Field(min_length=1)] | None = Field(
        default=None,
        description="Key exchange groups that are allowed; of these the client's order decides. "
        "Absent = `x25519mlkem768`, `x25519`, `secp256r1`, `secp384r1`.",
    )
    alpn: Annotated[list[Literal["http/1.1"]], Field(min_length=1)] | None = Field(
        default=None, description="Protocols offered by ALPN; absent = `http/1.1`."
    )
    client_auth: ClientAuth | None = Field(
        default=None, description="Certificates of clients; absent = none are asked for."
    )
    tickets: Flag = Field(default=True, description="Whether sessions are resumed by tickets.")

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """The versions are in order."""
        if self.min_version > self.max_version and not {"min_version", "max_version"} & wrong:
            yield Invalid(
                f'min_version "{self.min_version}" is above max_version "{self.max_version}"',
                "write a max_version that is at least as high",
                at=("max_version",),
            )
