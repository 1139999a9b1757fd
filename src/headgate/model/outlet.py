"""TLS towards servers that a node itself sends to: a collector, the store of limits."""

from collections.abc import Iterator, Set
from typing import Literal

from pydantic import Field

from headgate.features.base import Checked
from headgate.features.fields import HostName
from headgate.kernel.errors import Invalid


class OutletTls(Checked):
    """TLS towards such a server; its certificate and its name are always verified."""

    verify_name: HostName | None = Field(
        default=None,
        description="The name that is sent as SNI and verified; absent = the host of the address.",
    )
    ca_file: str | None = Field(
        default=None, description="The PEM file of the trusted roots; absent = the system's roots."
    )
    cert_file: str | None = Field(
        default=None,
        description="The PEM file of the certificate to send when the server asks for one, with "
        "its chain.",
    )
    key_file: str | None = Field(
        default=None, description="The PEM file of the key of `cert_file`."
    )
    min_version: Literal["1.2", "1.3"] = Field(default="1.2", description="The lowest TLS version.")

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for a certificate without its key, or the other way round."""
        pair = {"cert_file": self.cert_file, "key_file": self.key_file}
        missing = [key for key, path in pair.items() if path is None and key not in wrong]
        if len(missing) == 1 and self.may_lack(wrong):
            (other,) = pair.keys() - missing
            yield Invalid(f"`{other}` needs `{missing[0]}`", "name the files of both", at=(other,))
