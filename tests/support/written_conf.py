"""Configs of nginx that a test writes, read as LINT reads them."""

from collections.abc import Callable, Iterator
from pathlib import Path

from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.conftree import Conf, read_conf

Write = Callable[..., Conf]


def writer(base: Path) -> Write:
    """Returns what writes a config into a folder below `base` and reads it.

    `main` is nginx.conf, which otherwise includes the others as `http/NAME.conf`.
    """

    def make(folder: str = "a", **files: str) -> Conf:
        for name, text in {"main": "http { include http/*.conf; }", **files}.items():
            path = base / folder / ("nginx.conf" if name == "main" else f"http/{name}.conf")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return read_conf(base / folder / "nginx.conf")

    return make


def codes(found: Iterator[Finding]) -> list[tuple[str, str, int]]:
    """Returns code, file and line of each finding."""
    return [(one.code, one.file, one.line) for one in found]
