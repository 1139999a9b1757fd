"""The picture of a running nginx as tables: what each cell says, and where a table is cut."""

import msgspec
import pytest

from headgate.cli.nginx import adopt_view
from headgate.cli.nginx.adopt_view import live_text, text
from headgate.engines.nginx.imports.picture_types import (
    Picture,
    PictureHost,
    PictureRoute,
    PictureUpstream,
    Place,
)
from headgate.engines.nginx.lint.finding import Finding
from headgate.engines.nginx.observe.certificates import CertificateFile, Leaf
from headgate.engines.nginx.observe.live import BackendRate, Live, NameRate
from headgate.engines.nginx.observe.served import CertificateFinding, Served
from headgate.engines.nginx.observe.status import StubStatus
from headgate.engines.nginx.watch.adoption import Adopted, CertificateView, LogView, WorkerView

AT = Place("/n.conf", 7)
PICTURE = Picture("/n.conf", ("/n.conf",), 12, (), (), (), (), (), ())
LIVE = Live(3.0, "none", None, {}, (), (), (), None, None, 4, None, 0.0, 0, {})
BARE = Adopted(7, "", "/usr/sbin/nginx", "/n.conf", "/", (), PICTURE, (), (), (), LIVE, ())
HOST = PictureHost("http", ("a.test", "b.test"), ("*:443",), True, True, (), AT)
ROUTE = PictureRoute(("a.test",), "/api", "proxy", "http://api", AT)
UPSTREAM = PictureUpstream("api", ("10.0.0.1:80", "10.0.0.2:80"), "least_conn", False, AT)
LEAF = Leaf("a.test", "ca", ("a.test", "b.test", "c.test", "d.test", "e.test"), 0.0, 1.0, "ab")
RATE = NameRate("a.test", 2.0, {"2xx": 1.5, "5xx": 0.5}, 2_048.0, 1.25, None)


def shown(**changed: object) -> list[list[str]]:
    """Returns the words of each line."""
    return words(text(msgspec.structs.replace(BARE, **changed)))


def drawn(**changed: object) -> list[list[str]]:
    return shown(picture=msgspec.structs.replace(PICTURE, **changed))


def now(**changed: object) -> list[list[str]]:
    return words(
        live_text(msgspec.structs.replace(BARE, live=msgspec.structs.replace(LIVE, **changed)))
    )


def words(page: str) -> list[list[str]]:
    return [line.split() for line in page.splitlines()]


def test_the_head_says_what_runs_and_how_much() -> None:
    processes = (
        WorkerView(7, "master", 7_199.0, 1 << 20, None),
        WorkerView(8, "worker", 5.0, 2 << 20, None),
        WorkerView(9, "draining", 61.0, 1 << 20, None),
        WorkerView(10, "draining", 9.0, 1 << 20, None),
    )
    lines = text(msgspec.structs.replace(BARE, processes=processes, version="nginx/1.22.1"))
    assert lines.splitlines()[:3] == [
        "nginx/1.22.1  pid 7  /n.conf",
        "1 workers, 2 draining (oldest 61 s old), 5 MiB resident, up 120 min",
        "1 files, 12 directives",
    ]
    bare = live_text(msgspec.structs.replace(BARE, root="/proc/7/root")).splitlines()
    assert bare[:2] == [
        "nginx  pid 7  /n.conf  (in /proc/7/root)",
        "0 workers, 0 draining, 0 MiB resident, up 0 s",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (119.0, "119 s"),
        (120.0, "2 min"),
        (7_199.0, "120 min"),
        (7_200.0, "2 h"),
        (172_799.0, "48 h"),
        (172_800.0, "2 d"),
    ],
)
def test_an_age_has_the_unit_of_which_there_are_two(seconds: float, said: str) -> None:
    master = WorkerView(7, "master", seconds, 0, None)
    worker = WorkerView(8, "worker", 9.0, 0, None)
    one = msgspec.structs.replace(BARE, processes=(worker, master))
    assert live_text(one).splitlines()[1].endswith(f", up {said}")


def test_hosts_routes_and_upstreams_have_their_places() -> None:
    bare_host = msgspec.structs.replace(HOST, names=(), tls=False, is_default=False)
    bare_route = msgspec.structs.replace(ROUTE, hosts=(), match="")
    lines = drawn(hosts=(HOST, bare_host), routes=(ROUTE, bare_route), upstreams=(UPSTREAM,))
    assert ["a.test", "b.test", "*:443", "yes", "yes", "/n.conf:7"] in lines
    assert ["-", "*:443", "/n.conf:7"] in lines
    assert ["a.test", "/api", "proxy", "http://api", "/n.conf:7"] in lines
    assert ["-", "(the", "rest)", "proxy", "http://api", "/n.conf:7"] in lines
    assert ["api", "least_conn", "10.0.0.1:80", "/n.conf:7"] in lines
    assert ["10.0.0.2:80"] in lines


@pytest.mark.parametrize(
    "written", ["~ ^/api[/]?$", "~ ^/[a-z]+/x$", "[fd00::1]:80", "[red]", "\\[b]", ":smile:"]
)
def test_text_of_a_config_is_no_markup(written: str) -> None:
    picture = msgspec.structs.replace(
        PICTURE,
        files=(written,),
        hosts=(msgspec.structs.replace(HOST, names=(written,), listens=(written,)),),
        routes=(msgspec.structs.replace(ROUTE, match=written, target=written),),
        upstreams=(msgspec.structs.replace(UPSTREAM, name=written, endpoints=(written,)),),
        findings=(Finding("f", "low", written, 1, 1, written, written),),
        problems=(written,),
    )
    live = msgspec.structs.replace(
        LIVE,
        status={written: 1.0},
        errors={written: 1},
        sites=(msgspec.structs.replace(RATE, name=written, status={written: 1.0}),),
        backends=(BackendRate(written, 1.0, 0.0),),
    )
    leaf = msgspec.structs.replace(LEAF, names=(written,))
    view = CertificateView(
        CertificateFile(written, written, leaf, "fits", written), 1.0, (written,), ()
    )
    page = text(
        msgspec.structs.replace(
            BARE,
            conf=written,
            version=written,
            root=written,
            picture=picture,
            live=live,
            certificates=(view,),
            logs=(LogView(written, "access", (written,), written),),
            notes=(written,),
        )
    )
    assert page.count(written) == 25


def certificate(*served: Served, days: float | None = 30.0, leaf: Leaf | None = LEAF) -> list[str]:
    file = CertificateFile("/c.pem", "/c.key", leaf, "fits", "" if leaf else "not there")
    view = CertificateView(file, days, ("s1", "s2", "s3", "s4", "s5"), served)
    (line,) = [one for one in shown(certificates=(view,)) if one[:1] == ["/c.pem"]]
    return line[1:]


def test_a_certificate_is_compared_with_what_is_served() -> None:
    names, servers = ["a.test", "b.test", "c.test", "d.test"], ["s1", "s2", "s3", "s4"]
    head = [*names, "30", "days", "fits"]
    good = Served("127.0.0.1:443", "a.test", LEAF)
    other = Served("127.0.0.1:443", "a.test", msgspec.structs.replace(LEAF, sha256="cd"))
    silent = Served("127.0.0.1:443", "a.test", None, "refused")
    assert certificate() == [*head, "not", "asked", *servers]
    assert certificate(good) == [*head, "as", "on", "disk", *servers]
    assert certificate(good, other) == [*head, "another", "one", *servers]
    assert certificate(good, silent) == [*head, "refused", *servers]
    unread = ["not", "there", "?", "fits", "another", "one", *servers]
    assert certificate(good, days=None, leaf=None) == unread


@pytest.mark.parametrize(
    ("days", "style"), [(-0.5, "red"), (0.0, "yellow"), (20.9, "yellow"), (21.0, "green")]
)
def test_the_end_of_a_certificate_has_a_colour(days: float, style: str) -> None:
    view = CertificateView(CertificateFile("/c.pem"), days, (), ())
    assert adopt_view._expiry(view).style == style


def test_findings_are_sorted_by_their_level_then_place() -> None:
    def one(level: str, line: int) -> Finding:
        return Finding(f"f{line}", level, "/n.conf", line, 1, "why", "do")  # type: ignore[arg-type]

    found = (one("low", 1), one("high", 3), one("medium", 2), one("high", 2))
    lines = drawn(findings=found, problems=("unreadable",))
    assert [line[1] for line in lines if line[-2:] == ["why", "do"]] == ["f2", "f3", "f2", "f1"]
    assert ["note:", "unreadable"] in lines
    wrong = (CertificateFinding("expired", "/c.pem", "it is over"),)
    assert ["expired", "/c.pem:", "it", "is", "over"] in shown(certificate_findings=wrong)


def test_rates_are_of_what_was_asked() -> None:
    (line,) = [one for one in now() if one[:1] == ["now"]]
    assert " ".join(line) == (
        "now (3 s, by none) requests/s not known p50 - p99 - connections 4 CPU 0 %"
    )
    stub = StubStatus(9, 0, 0, 0, 0, 0, 0)
    lines = now(
        source="access_log",
        requests=2.5,
        status={"2xx": 2.0},
        p50_ms=1.5,
        connections=stub,
        cpu=0.25,
        errors={"error": 2},
        sites=(RATE,),
        backends=(BackendRate("10.0.0.1:80", 2.0, 0.5),),
    )
    assert " ".join(next(one for one in lines if one[:1] == ["now"])) == (
        "now (3 s, by access log) requests/s 2.5 2xx 2.0 p50 1.5 ms p99 - connections 9 CPU 25 %"
    )
    assert ["error", "log:", "error", "2"] in lines
    assert ["a.test", "2.0", "2xx", "1.5", "5xx", "0.5", "2.0", "KiB", "1.2", "ms", "-"] in lines
    assert ["10.0.0.1:80", "2.0", "0.5"] in lines
    assert ["sites", "now"] in lines
    assert ["upstreams", "now"] not in lines
    assert not [one for one in now() if one[:1] in (["error"], ["endpoints"], ["sites"])]


def test_a_log_that_is_not_followed_says_why() -> None:
    sites = ("a", "b", "c", "d", "e")
    lines = shown(logs=(LogView("/a.log", "access", sites), LogView("/b.log", "error", (), "gone")))
    assert ["/a.log", "access", "a", "b", "c", "d", "yes"] in lines
    assert ["/b.log", "error", "no:", "gone"] in lines


def test_a_table_is_as_wide_as_its_cells_and_hides_nothing_of_them() -> None:
    long = "/" + "a" * 200
    page = text(msgspec.structs.replace(BARE, logs=(LogView(long, "access", ("s1",)),)))
    lines = page.splitlines()
    head = next(number for number, line in enumerate(lines) if line.split()[:1] == ["path"])
    assert lines[head - 1].rstrip() == "logs"
    cells = [line[: line.index("access") if "access" in line else None] for line in lines[head:]]
    assert "".join(cell.strip() for cell in cells[1:]) == long
    assert lines[head].startswith("path ")


def test_a_long_table_is_cut_and_says_so() -> None:
    for count, is_cut in ((40, False), (41, True)):
        many = [str(number) for number in range(count)]
        leaf = CertificateFile("/c.pem")
        lines = shown(
            picture=msgspec.structs.replace(
                PICTURE,
                hosts=(HOST,) * count,
                routes=(ROUTE,) * count,
                upstreams=(UPSTREAM,) * count,
                findings=(Finding("f", "low", "/n.conf", 1, 1, "why", "do"),) * count,
            ),
            certificates=(CertificateView(leaf, None, (), ()),) * count,
            logs=tuple(LogView(one, "access") for one in many),
            live=msgspec.structs.replace(
                LIVE,
                sites=(RATE,) * count,
                upstreams=(RATE,) * count,
                backends=(BackendRate("b", 0.0, 0.0),) * count,
            ),
        )
        cuts = [one[:3] for one in lines if one[:1] == ["and"]]
        assert cuts == [["and", "1", "more"]] * (9 if is_cut else 0)
        assert len([one for one in lines if one[-1:] == ["/n.conf:7"]]) == 120
