"""Finds the dynamic modules beside a binary, and which of them it loads."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

_NAME: Final = re.compile(r"(?:ngx_)?(.+)_module\.so")
_LOAD: Final = re.compile(r"^\s*load_module\s+\"?([^\s;\"]+)\"?\s*;", re.MULTILINE)
_ENABLED: Final = ("modules-enabled/*.conf", "modules-available/*.conf", "modules/*.conf")
"""Beside nginx.conf: Debian's folder, Debian's other one, Fedora's."""

_SHARED: Final = "/usr/share/nginx/modules-available"


class Module(msgspec.Struct, frozen=True):
    """A module's file: its short name (`http_lua`), its path, why it does not load ("" = it does).

    `needs` are files that must load before it.
    """

    name: str
    path: str
    why_not: str = ""
    needs: tuple[str, ...] = ()


def built_with(build: str, option: str) -> str | None:
    """Returns an option's value from the output of `-V` (`modules-path`); None without it."""
    found = re.search(rf"--{re.escape(option)}=(?:'([^']*)'|(\S+))", build)
    return (found[1] or found[2]) if found else None


def files(root: Path, build: str, conf: str) -> tuple[str, ...]:
    """Returns module files below `root`, as absolute paths inside it: of `--modules-path`, and what
    `load_module` names in the distributions' folders for such lines.
    """
    prefix = built_with(build, "prefix") or "/usr/local/nginx"
    folder = built_with(build, "modules-path") or f"{prefix}/modules"
    found = [f"{folder}/{name}" for name in _listed(root, folder)]
    conf_path = built_with(build, "conf-path") or f"{prefix}/conf/nginx.conf"
    for place in dict.fromkeys((PurePosixPath(conf).parent, PurePosixPath(conf_path).parent)):
        for pattern in _ENABLED:
            found += _loaded(root, prefix, sorted(_below(root, str(place)).glob(pattern)))
    found += _loaded(root, prefix, sorted(_below(root, _SHARED).glob("*.conf")))
    by_name = {short(path): path for path in reversed(found) if _is_file(root, path)}
    return tuple(sorted(by_name.values()))


def short(path: str) -> str:
    """Returns the short name: `/…/ngx_http_lua_module.so` → `http_lua`."""
    name = PurePosixPath(path).name
    found = _NAME.fullmatch(name)
    return found[1] if found else name.removesuffix(".so")


def fingerprint(root: Path, paths: Iterable[str]) -> str:
    """Returns text that changes when a module is added, removed or replaced."""
    parts = []
    for path in paths:
        stat = _below(root, path).stat()
        parts.append(f"{path} {stat.st_size} {stat.st_mtime_ns}")
    return "\n".join(parts)


def order(wanted: Sequence[str], known: Mapping[str, Module]) -> tuple[str, ...] | None:
    """Returns the files to load for these modules, what they need first;
    None if one does not load.
    """
    chosen: dict[str, None] = {}
    for name in wanted:
        module = known.get(name)
        if module is None or module.why_not:
            return None
        chosen |= dict.fromkeys((*module.needs, module.path))
    return tuple(chosen)


def _listed(root: Path, folder: str) -> list[str]:
    try:
        entries = _below(root, folder).iterdir()
        return sorted(entry.name for entry in entries if entry.name.endswith(".so"))
    except FileNotFoundError:
        return []


def _loaded(root: Path, prefix: str, configs: Iterable[Path]) -> list[str]:
    found = []
    for config in configs:
        try:
            text = config.read_text(errors="replace")
        except OSError:
            continue  # a dangling link, as a removed package leaves behind
        found += [str(PurePosixPath(prefix) / path) for path in _LOAD.findall(text)]
    return found


def _is_file(root: Path, path: str) -> bool:
    return _below(root, path).is_file()


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")
