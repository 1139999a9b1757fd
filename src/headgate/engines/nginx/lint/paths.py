"""Checks for files that nginx serves by mistake."""

from collections.abc import Iterator
from typing import Final

from headgate.engines.nginx.lint.check import Found
from headgate.engines.nginx.lint.config import Config

_PRIVATE: Final = frozenset({"/", "/etc", "/root", "/home", "/var", "/proc", "/sys", "/usr"})
_MANY_FILES: Final = 4
_WITH_MODIFIER: Final = 2


def alias_traversal(config: Config) -> Iterator[Found]:
    """Finds `location /a` with `alias /b/`: `/a../x` is a file beside `/b`."""
    for seen in config.named("alias"):
        if not seen.is_in("location") or not seen.words:
            continue
        words = seen.parents[-1].directive.values
        modifier = words[0] if len(words) == _WITH_MODIFIER else b""
        path = words[-1] if words else b""
        if modifier in (b"", b"^~") and not path.endswith(b"/") and seen.words[0].endswith("/"):
            shown = path.decode(errors="replace")
            yield seen.located, f"`{shown}../` leaves the directory that `alias` names"


def filesystem_root_exposure(config: Config) -> Iterator[Found]:
    """Finds `root` or `alias` at a directory of the system."""
    for seen in config.named("root", "alias"):
        if seen.words and (seen.words[0].rstrip("/") or "/") in _PRIVATE:
            yield seen.located, f"`{seen.words[0]}` serves files of the system"


def try_files_is_evil_too(config: Config) -> Iterator[Found]:
    """Finds many file tests for each request, without `open_file_cache`."""
    for seen in config.named("try_files"):
        if len(seen.words) > _MANY_FILES and not config.nearest(seen, "open_file_cache"):
            tests = len(seen.words) - 1
            yield seen.located, f"each request may look for {tests} files, and nothing is cached"
