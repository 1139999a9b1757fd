"""Compiles the TLS towards servers that a node itself sends to."""

from collections.abc import Callable

from headgate.compile.pem import certificates, private_key
from headgate.compile.reads import Reads
from headgate.compile.resolved import Resolved
from headgate.kernel.diagnostics import ConfigPath
from headgate.kernel.ids import BlobId
from headgate.model.outlet import OutletTls
from headgate.plan import settings as plan


def outlet_tls(
    model: OutletTls | None, path: ConfigPath, reads: Reads, out: Resolved
) -> plan.OutletTls:
    """Returns TLS as it is written at a path of `[node]`, or with defaults where nothing is."""
    model = model or OutletTls()

    def blob(key: str, file: str | None, check: Callable[[bytes], None]) -> BlobId | None:
        if file is None:
            return None
        found = out.attempt((*path, key), lambda: reads.blob(file, check))
        out.blobs += [found] if found else []
        return found

    return plan.OutletTls(
        verify_name=model.verify_name,
        ca=blob("ca_file", model.ca_file, certificates),
        cert=blob("cert_file", model.cert_file, certificates),
        key=blob("key_file", model.key_file, private_key),
        min_version=model.min_version,
    )
