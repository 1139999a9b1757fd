"""Checks for LINT the files that a config names: certificates with their keys, password files.

Workers read password files and certificates behind variables at each request as their own user, and
`nginx -t` does not look at them.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.conftree import Conf, Placed
from headgate.engines.nginx.observe.certificates import CertificateFile, Reader

Keeps = Callable[[str], str | None]
"""The path of what keeps the workers' user from a file, by its absolute path: a folder on the way,
or the file; None if nothing does."""

_SOON_DAYS: Final = 7.0
_NAME_VARIABLES: Final = ("$ssl_server_name", "${ssl_server_name}", "$host", "${host}")


def certificates(conf: Conf, now_s: float) -> Iterator[Finding]:
    """Finds pairs whose key does not match, and certificates that have expired or soon will."""
    reader = Reader(str(conf.folder))
    seen: dict[tuple[str, str], CertificateFile] = {}
    for server in _blocks_with_certificates(conf):
        certs = [one for one in server if one.directive.name == b"ssl_certificate"]
        keys = [one for one in server if one.directive.name == b"ssl_certificate_key"]
        for cert, key in zip(certs, keys, strict=False):
            paths = (cert.args[0], key.args[0]) if cert.args and key.args else ("", "")
            if not all(paths) or any("$" in path or ":" in path for path in paths) or paths in seen:
                continue
            seen[paths] = about = reader.read(*map(conf.files.moved, paths))
            yield from _pair(conf, cert, about, now_s)


def variable_certificates(conf: Conf, keeps: Keeps) -> Iterator[Finding]:
    """Finds variables in certificate paths that lead to no file: every handshake would fail."""
    names = [name for one in conf.all("server_name") for name in one.args if _is_plain(name)]
    for one in conf.all("ssl_certificate", "ssl_certificate_key"):
        if not one.args or "$" not in one.args[0] or one.args[0].startswith("data:"):
            continue
        for path in _candidates(conf, one.args[0], names):
            what = _unusable(path, keeps)
            if what:
                yield conf.finding(one, "certificate", f"{path} {what}: handshakes would fail")


def password_files(conf: Conf, keeps: Keeps) -> Iterator[Finding]:
    """Finds password files that are missing or unreadable for workers: every request would fail."""
    seen: set[Path] = set()
    for one in conf.all("auth_basic_user_file"):
        if not one.args or "$" in one.args[0]:
            continue
        path = conf.path(one.args[0])
        if path in seen:
            continue
        seen.add(path)
        what = _unusable(path, keeps)
        if what:
            yield conf.finding(one, "password_file", f"{path} {what}: every request would fail")


def _blocks_with_certificates(conf: Conf) -> Iterator[list[Placed]]:
    """Yields the certificate directives of each block in order: the n-th key goes with the n-th."""
    if next(conf.all("ssl_certificate"), None) is None:
        return
    for one in conf.all("http", "server"):
        if one.directive.children is not None:
            yield _own(conf, one)


def _own(conf: Conf, block: Placed) -> list[Placed]:
    return [
        Placed(located, (*block.around, block.directive.name))
        for located in conf.tree.inside(block.at)
        if located.directive.name in {b"ssl_certificate", b"ssl_certificate_key"}
    ]


def _pair(conf: Conf, cert: Placed, about: CertificateFile, now_s: float) -> Iterator[Finding]:
    if about.leaf is None:
        yield conf.finding(cert, "certificate", f"{about.path}: {about.problem}")
        return
    if about.key == "differs":
        text = f"{about.key_path} is not the key of {about.path}"
        yield conf.finding(cert, "certificate", text)
    left = about.leaf.days_left(now_s)
    if left < 0:
        text = f"{about.path} expired {-left:.0f} days ago"
        yield conf.finding(cert, "expired", text, is_error=False)
    elif left < _SOON_DAYS:
        text = f"{about.path} expires in {left:.0f} days"
        yield conf.finding(cert, "expires_soon", text, is_error=False)


def _candidates(conf: Conf, value: str, names: list[str]) -> Iterator[Path]:
    """Yields the files a path with variables may mean; its fixed folder where that is unknown."""
    variable = next((one for one in _NAME_VARIABLES if one in value), None)
    if variable is not None and "$" not in value.replace(variable, "") and names:
        yield from (conf.path(value.replace(variable, name)) for name in dict.fromkeys(names))
        return
    yield conf.path(value.partition("$")[0].rpartition("/")[0])


def _unusable(path: Path, keeps: Keeps) -> str:
    if not path.exists():
        return "is missing"
    closed = keeps(str(path))
    if closed is None:
        return ""
    what = "cannot be read by the workers' user"
    if closed == str(path):
        return what
    return f'{what}, who cannot pass through "{closed}" (`chmod o+x {closed}` lets it)'


def _is_plain(name: str) -> bool:
    return bool(name) and name != "_" and not name.startswith(("~", "*", ".")) and "$" not in name
