"""`headgate test`: routes as data. Requests and where they must go, for a user's own CI."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Final, Literal, TextIO

import msgspec

from headgate._core import PlanError
from headgate.cli.explain import certified, question, refusal
from headgate.cli.reading import read as read_config
from headgate.cli.run import has_environment_config
from headgate.cli.suite import BadSuiteError, Expect, SuiteFile, read
from headgate.compile.answers import answer
from headgate.compile.explanation import Explanation, Locate, Won, places
from headgate.compile.located import refusals
from headgate.compile.routing import Routing
from headgate.compile.veil import HIDDEN, veiled
from headgate.kernel.diagnostics import Diagnostic, render_text
from headgate.kernel.errors import Invalid

Output = Literal["text", "json"]

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
BAD_CONFIG: Final = 78


class Mismatch(msgspec.Struct, frozen=True):
    """One thing that is not as expected; `got` is None where there is nothing."""

    what: str
    expected: str | int
    got: str | int | None


class Result(msgspec.Struct, frozen=True):
    """The result of one case; `why` explains another route than the expected one."""

    name: str
    request: str
    place: str
    mismatches: list[Mismatch]
    why: list[str] = []

    @property
    def is_ok(self) -> bool:
        """True if all is as expected."""
        return not self.mismatches


class Report(msgspec.Struct, frozen=True):
    """The whole answer."""

    cases: int
    failed: int
    results: list[Result]


def test(
    file: Path,
    paths: Sequence[PurePath] = (),
    output: Output = "text",
    *,
    env: Mapping[str, str] = os.environ,
    stream: TextIO = sys.stdout,
    errors: TextIO = sys.stderr,
) -> int:
    """Tries the cases of a file against the config at `paths`, or else the one it names.

    Returns the exit code: 0 when all are as expected, 1 when one is not, 2 when the file cannot
    be used, 78 when the config would be refused; reasons go to `errors`.
    """
    try:
        suite = read(file)
        config = list(paths) or [file.parent / one for one in suite.suite.config]
        if not config and not has_environment_config(env):
            allowed = "write `config` with the paths of one, or give --config"
            raise BadSuiteError([suite.wrong((), "no config is named", allowed)])
    except BadSuiteError as error:
        errors.write(f"{error}\n")
        return USAGE
    loaded = read_config(config, env)
    if loaded.plan is None:
        errors.write(render_text(loaded.errors))
        return BAD_CONFIG
    try:
        report = run(suite, Routing(loaded.plan, loaded.secrets, loaded.blobs), places(loaded))
    except PlanError as error:
        errors.write(render_text(refusals(loaded, error)))
        return BAD_CONFIG
    except BadSuiteError as error:
        errors.write(f"{error}\n")
        return USAGE
    if output == "json":
        stream.write(msgspec.json.encode(report).decode() + "\n")
    else:
        stream.writelines(f"{line}\n" for line in text(report))
    return FAILED if report.failed else OK


def run(file: SuiteFile, routing: Routing, locate: Locate) -> Report:
    """Tries every case. Raises `BadSuiteError` with all that are not requests."""
    results: list[Result] = []
    wrong: list[Diagnostic] = []
    for number, case in enumerate(file.suite.cases):
        place = file.place(number)
        try:
            asked = question(case.request.split(), (), case.client, case.listener)
            asked = msgspec.structs.replace(
                asked, headers=case.headers, sni=case.sni, alpn=case.alpn
            )
            one = (case.client_subject, case.client_san, case.client_fingerprint)
            found = answer(routing, certified(asked, *one), locate)
        except Invalid as error:
            wrong.append(file.wrong(("cases", number, *error.at), error.what, error.allowed))
            continue
        except ValueError as error:
            message = f"the request cannot be sent: {error}"
            wrong.append(file.wrong(("cases", number), message, "write another"))
            continue
        shown = veiled(found, routing.plan, routing.secrets)
        mismatches = list(_mismatches(case.expect, found, shown))
        is_elsewhere = any(m.what == "route" for m in mismatches)
        why = list(_why(case.expect.route or "", shown)) if is_elsewhere else []
        results.append(Result(case.name, case.request, place, mismatches, why))
    if wrong:
        raise BadSuiteError(wrong)
    failed = sum(not result.is_ok for result in results)
    return Report(len(results), failed, results)


def _mismatches(expect: Expect, found: Explanation, shown: Explanation) -> Iterator[Mismatch]:
    """Yields the deviations of `found`, in the words of `shown`, which holds no secret."""
    got = {one.what: one.got for one in compare(expect, shown)}
    for one in compare(expect, found):
        yield Mismatch(one.what, one.expected, got.get(one.what, HIDDEN))


def compare(expect: Expect, found: Explanation) -> Iterator[Mismatch]:
    """Yields the deviations from what is expected."""
    won = found.won
    route = won.route if won else ""
    if expect.route is not None and expect.route != route:
        yield Mismatch("route", expect.route, route)
    outcome = won.outcome if won else None
    sent = won if won is not None and won.outcome.kind == "forward" else None
    if expect.upstream is not None:
        names = [s.name for s in sent.upstreams if s.weight] if sent else []
        if expect.upstream not in names:
            yield Mismatch("upstream", expect.upstream, " or ".join(names) or None)
    if expect.host is not None:
        hosts = list(dict.fromkeys(_hosts(sent, found.url))) if sent else []
        if expect.host not in hosts:
            yield Mismatch("host", expect.host, " or ".join(hosts) or None)
    got: dict[str, str | int | None] = {
        "path": sent.outcome.target if sent else None,
        "status": found.status,
        "location": dict(outcome.headers).get("location") if outcome else None,
        "body": outcome.body if outcome and outcome.kind == "answer" else None,
    }
    for what, value in got.items():
        expected: str | int | None = getattr(expect, what)
        if expected is not None and expected != value:
            yield Mismatch(what, expected, value)


def text(report: Report) -> Iterator[str]:
    """Yields the lines of a report: what failed, then the count."""
    for result in report.results:
        if result.is_ok:
            continue
        name = f"{result.name}: " if result.name else ""
        yield f"FAILED {result.place}: {name}{result.request}"
        for one in result.mismatches:
            expected, got = (_shown(one.what, value) for value in (one.expected, one.got))
            yield f"  {one.what}: expected {expected}, got {got}"
        yield from (f"    {line}" for line in result.why)
    yield f"{report.cases - report.failed} of {report.cases} as expected"


def _why(expected: str, found: Explanation) -> Iterator[str]:
    """Yields what keeps the expected route from taking the request,
    and what makes the other take it.
    """
    if found.refused:
        yield refusal(found)
    miss = next((m for m in found.near if m.route == expected), None)
    for condition in miss.failed if miss else ():
        yield f"{expected}: {condition.text}  {condition.place}"
    if miss is not None and miss.outranked is not None and found.won is not None:
        reason = miss.outranked.reason
        yield f"{found.won.route} goes before {expected}: {reason}  {found.won.place}"
    if found.won is not None:
        for condition in found.won.held:
            yield f"{found.won.route}: {condition.text}  {condition.place}"


def _shown(what: str, value: str | int | None) -> str:
    """Returns a value as text. An empty body is a body; a route without a name is no route."""
    if value is None or (what == "route" and value == ""):
        return "none"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _hosts(won: Won, url: str) -> Iterator[str]:
    """Yields the Host of the request at each endpoint that may get it."""
    asked = url.partition("://")[2].partition("/")[0]
    for share in won.upstreams:
        if share.weight and share.host != "endpoint":
            yield won.outcome.host or share.host or asked
        elif share.weight:
            addresses = (one.address for one in share.endpoints)
            yield from ("localhost" if one.startswith("unix:") else one for one in addresses)
