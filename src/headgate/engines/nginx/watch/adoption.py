"""Reads a running nginx as it is; changes nothing.

It reads the config as files, below that nginx's own root, and does not execute its binary, since
`nginx -T` opens and creates what the config names. It asks for a handshake and, where that leaves
no line in a log, the status page.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import msgspec

from headgate.engines.nginx.imports.picture import Picture, picture
from headgate.engines.nginx.observe.certificates import CertificateFile, Reader
from headgate.engines.nginx.observe.facts import AccessLogUse, Facts, KeyPair, Server, StatusPage
from headgate.engines.nginx.observe.live import Live, Meter
from headgate.engines.nginx.observe.log_format import LogFormat, UnusableFormatError
from headgate.engines.nginx.observe.masters import Running, processes
from headgate.engines.nginx.observe.observer import AccessLog, Observer, Sources
from headgate.engines.nginx.observe.processes import ProcessFigures
from headgate.engines.nginx.observe.reading import facts_of
from headgate.engines.nginx.observe.served import CertificateFinding, Served, findings, probe
from headgate.nginxtext.includes import load

PROBES: Final = 200
"""The most handshakes; of a server's names the first on each of its addresses."""

_AT_ONCE: Final = 8


class WorkerView(msgspec.Struct, frozen=True):
    """A process of the instance."""

    pid: int
    role: str
    age_s: float
    resident_bytes: int
    open_files: int | None


class CertificateView(msgspec.Struct, frozen=True):
    """A certificate a server names, and what handshakes for it brought."""

    file: CertificateFile
    days_left: float | None
    servers: tuple[str, ...]
    served: tuple[Served, ...]


class LogView(msgspec.Struct, frozen=True):
    """A log and whether it is followed; `problem` says why not."""

    path: str
    kind: str
    sites: tuple[str, ...] = ()
    problem: str = ""


class Adopted(msgspec.Struct, frozen=True):
    """The whole picture of one instance; `notes` are what it could not look at, and why."""

    pid: int
    version: str
    binary: str
    conf: str
    root: str
    processes: tuple[WorkerView, ...]
    picture: Picture
    certificates: tuple[CertificateView, ...]
    certificate_findings: tuple[CertificateFinding, ...]
    logs: tuple[LogView, ...]
    live: Live
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Adoption:
    """The knowledge of an instance before its rates are known; `meter` measures them."""

    running: Running
    facts: Facts
    picture: Picture
    certificates: tuple[CertificateView, ...]
    certificate_findings: tuple[CertificateFinding, ...]
    logs: tuple[LogView, ...]
    notes: tuple[str, ...]
    meter: Meter

    def now(self, seconds: float) -> Adopted:
        """Returns the picture, with what happens in the next `seconds`."""
        live = self.meter.measure(seconds)
        seen = self.meter.processes()
        every = (*([seen.master] if seen.master else []), *seen.workers)
        problems = (f"{path}: {why}" for path, why in sorted(self.meter.observer.problems.items()))
        return Adopted(
            pid=self.running.master.pid,
            version=self.running.built_in.version,
            binary=self.running.binary,
            conf=self.running.conf,
            root=str(self.running.root),
            processes=tuple(_view(one, is_master=one is seen.master) for one in every),
            picture=self.picture,
            certificates=self.certificates,
            certificate_findings=self.certificate_findings,
            logs=self.logs,
            live=live,
            notes=(*self.notes, *problems),
        )


def adopt(running: Running, *, ask_logged_status: bool = False) -> Adoption:
    """Reads everything about an instance; takes some seconds for thousands of sites.

    `ask_logged_status`: ask a status page even where that leaves a line in an access log.
    """
    tree = load(running.conf, running.files)
    facts = facts_of(tree, running.built_in)
    pages = [page for page in facts.status_pages if ask_logged_status or not page.is_logged]
    notes: list[str] = []
    if not running.binary:
        notes.append("its binary cannot be read, so its built-in paths are guessed")
    if not running.shares_network:
        pages = []
        notes.append(
            "it has a network of its own: its listeners and pages cannot be asked from here"
        )
    elif facts.status_pages and not pages:
        notes.append("its status page is not asked: that would leave lines in its access log")
    certificates, found = certificates_of(running, facts.servers)
    shown = picture(tree)
    sources, logs = _sources(running, facts, pages, _upstream_names(shown))
    observer = Observer(sources)
    ports = frozenset(_ports(facts.servers))
    return Adoption(
        running=running,
        facts=facts,
        picture=shown,
        certificates=certificates,
        certificate_findings=found,
        logs=logs,
        notes=tuple(notes),
        meter=Meter(observer, ports, running.master.pid),
    )


def certificates_of(
    running: Running, servers: Sequence[Server]
) -> tuple[tuple[CertificateView, ...], tuple[CertificateFinding, ...]]:
    """Returns the certificates that servers name, what handshakes bring,
    and what is wrong with them.
    """
    reader = Reader(running.conf_folder, running.files)
    files: dict[KeyPair, CertificateFile] = {}
    users: dict[KeyPair, list[Server]] = {}
    for server in servers:
        for pair in server.certificates:
            if pair not in files:
                files[pair] = reader.read(pair.certificate, pair.key)
            users.setdefault(pair, []).append(server)
    answers = _probed(servers) if running.shares_network else {}
    views = [_certificate_view(one, users[pair], answers) for pair, one in files.items()]
    pairs = [
        ([files[pair] for pair in server.certificates], answer)
        for server in servers
        for answer in answers.get(id(server), ())
    ]
    return tuple(views), tuple(findings(files.values(), pairs, time.time()))


def _certificate_view(
    file: CertificateFile, servers: Sequence[Server], answers: "dict[int, list[Served]]"
) -> CertificateView:
    days = None if file.leaf is None else round(file.leaf.days_left(time.time()), 1)
    served = [answer for server in servers for answer in answers.get(id(server), ())]
    return CertificateView(
        file, days, tuple(dict.fromkeys(server.label for server in servers)), tuple(served)
    )


def _probed(servers: Sequence[Server]) -> "dict[int, list[Served]]":
    """Returns handshakes with the servers that have certificates, by the server's identity."""
    wanted = [
        (server, listen)
        for server in servers
        if server.certificates
        for listen in server.listens
        if listen.tls and not listen.is_unix and not listen.quic
    ][:PROBES]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        jobs = [
            pool.submit(
                probe,
                listen.address,
                server.names[0] if server.names else "",
                proxy_protocol=listen.proxy_protocol,
            )
            for server, listen in wanted
        ]
        found: dict[int, list[Served]] = {}
        for (server, _), job in zip(wanted, jobs, strict=True):
            found.setdefault(id(server), []).append(job.result())
    return found


def _upstream_names(shown: Picture) -> dict[str, str]:
    """Returns the upstream of each address that only one upstream has."""
    names: dict[str, set[str]] = {}
    for upstream in shown.upstreams:
        for endpoint in upstream.endpoints:
            address = endpoint.split()[0]
            if not upstream.implicit:
                names.setdefault(address, set()).add(upstream.name)
    return {address: name for address, found in names.items() if len(found) == 1 for name in found}


def _sources(
    running: Running, facts: Facts, pages: Sequence[StatusPage], upstreams: Mapping[str, str]
) -> tuple[Sources, tuple[LogView, ...]]:
    """Returns the sources to follow, and the notes on them."""
    followed: list[AccessLog] = []
    views: list[LogView] = []
    paths: set[str] = set()
    for use in facts.access_logs:
        parser, problem = _parser(use, upstreams)
        if use.path in paths:
            parser, problem = None, "it is followed by another of its formats"
        views.append(LogView(use.path, "access", use.sites, problem))
        if parser is not None:
            paths.add(use.path)
            followed.append(AccessLog(str(running.files.resolve(use.path)), parser))
    errors = [str(running.files.resolve(path)) for path in facts.error_logs]
    views += [LogView(path, "error") for path in facts.error_logs]
    page = pages[0] if pages else StatusPage("")
    sources = Sources(
        access_logs=followed,
        error_logs=errors,
        stub_status=page.where,
        status_host=page.host,
        processes=lambda: processes(running),
    )
    return sources, tuple(views)


def _parser(use: AccessLogUse, upstreams: Mapping[str, str]) -> tuple[LogFormat | None, str]:
    if use.problem:
        return None, use.problem
    site = use.sites[0] if len(use.sites) == 1 else use.path.rpartition("/")[2]
    try:
        return LogFormat(use.format, use.escape, site, upstreams), ""
    except UnusableFormatError as error:
        return None, str(error)


def _ports(servers: Iterable[Server]) -> Iterable[int]:
    for server in servers:
        for listen in server.listens:
            port = listen.address.rpartition(":")[2]
            if not listen.is_unix and port.isdigit():
                yield int(port)


def _view(one: ProcessFigures, *, is_master: bool) -> WorkerView:
    role = "draining" if one.process.shutting_down else "worker"
    return WorkerView(
        one.process.pid,
        "master" if is_master else role,
        round(one.age_s, 1),
        one.resident_bytes,
        one.open_files,
    )
