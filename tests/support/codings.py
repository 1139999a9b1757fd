"""Bodies in the content codings, made by other programs than ours."""

import gzip
import subprocess
import zlib
from collections.abc import Callable
from typing import Final

from peers import peer
from waiting import DEADLINE_S

BROTLI: Final = """
const whole = require("fs").readFileSync(0);
process.stdout.write(require("zlib").brotliCompressSync(whole));
"""


def _piped(body: bytes, *command: str) -> bytes:
    done = subprocess.run(command, input=body, capture_output=True, timeout=DEADLINE_S, check=True)
    return done.stdout


def _brotli(body: bytes) -> bytes:
    return _piped(body, str(peer("node")), "-e", BROTLI)


def _zstd(body: bytes) -> bytes:
    return _piped(body, str(peer("zstd")), "--quiet", "--stdout")


CODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": _brotli,
    "zstd": _zstd,
}
"""By the word in `Content-Encoding`."""
