"""A real nginx for a config with TCP listeners, and what is said of one that it cannot serve."""

import ssl
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from cut_off import heard
from nginx_engine import (
    NginxEngine,
    NotRenderedError,
    capabilities,
    expressed,
    loaded_file,
    stream_capabilities,
    target,
)

from headgate._core import tcp_route
from headgate.plan.tcp import TcpRoute


def written(folder: Path, text: str) -> Path:
    """The file of a config, in a folder that workers may enter."""
    folder.chmod(0o755)
    file = folder / "headgate.toml"
    file.write_text(text)
    return file


def served(folder: Path, text: str) -> NginxEngine:
    """An nginx for a config, not yet started; skips the test, or fails it in CI, without one that
    proxies TCP."""
    stream_capabilities()
    return NginxEngine(written(folder, text), folder)


def refused(folder: Path, text: str, *, without: str = "", **to: str) -> str:
    """What is said of a config that this nginx cannot serve; `without` a word of its `stream`."""
    able = capabilities()
    able = msgspec.structs.replace(able, accepted=able.accepted - {without})
    on = replace(target(str(folder), able), **to)  # type: ignore[arg-type]
    with pytest.raises(NotRenderedError) as told:
        expressed(loaded_file(written(folder, text)), on)
    return str(told.value)


def hello(name: str) -> bytes:
    """A ClientHello for a server name, without one for an empty name."""
    context = ssl.create_default_context()
    context.check_hostname = False
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name or None)
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


def answered(port: int, data: bytes, source: str, *, cut: int = 0) -> bytes:
    """What comes back first for these bytes, sent in two parts; empty where nothing does."""
    got = heard(port, data[:cut], data[cut:], source=source, most=1 + len(data))
    assert got[1:] in {b"", data}
    return got[:1]


def natively(engine: NginxEngine, source: str, name: str) -> str:
    """The route that the native engine takes; empty for none."""
    assert engine.loaded.plan is not None
    found = engine.loaded.plan.objects.items()
    routes = [
        (key.name, one.value.client, one.value.sni, one.value.alpn, False)
        for key, one in found
        if isinstance(one.value, TcpRoute)
    ]
    return tcp_route(routes, source, name.lower() or None) or ""
