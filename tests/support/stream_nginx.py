"""A real nginx for a config with TCP listeners, and what is said of one that it cannot serve."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from nginx_engine import (
    NginxEngine,
    NotRenderedError,
    capabilities,
    expressed,
    loaded_file,
    stream_capabilities,
    target,
)


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
