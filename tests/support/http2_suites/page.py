"""The tables of `docs/internals/http2-suites.md`, made from the cases.

`python tests/support/http2_suites/page.py` writes them into the page, after the line `MARK`.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from http2_suites import SUITES
from http2_suites.case import AnyCase, Case, Elsewhere, Http1Case, Suite

PAGE = Path(__file__).resolve().parents[3] / "docs/internals/http2-suites.md"
MARK = "<!-- TABLES -->\n"
_COUNTS = ("nothing", "one request", "two requests")


def outcome(case: AnyCase) -> str:
    """What headgate does, in words."""
    if isinstance(case, Elsewhere):
        return case.outcome
    reaches = f"; {_COUNTS[len(case.reaches)]} reaches an endpoint"
    if len(case.reaches) > 1:
        reaches = reaches.replace("reaches", "reach")
    if isinstance(case, Http1Case):
        ends = "; the connection ends at the preface" if case.then else ", and the connection ends"
        return f"{case.status} over HTTP/1.1{ends}{reaches}"
    if case.goaway is not None:
        return f"GOAWAY with {case.goaway.name}{reaches}"
    parts = [] if case.status is None else [str(case.status)]
    if case.reset is not None:
        parts.append(f"RST_STREAM with {case.reset.name}")
    return ", then ".join(parts) + reaches


def shown_by(suite: Suite, case: AnyCase) -> str:
    """The tests that show it; one of the data is named by its id."""
    if isinstance(case, Elsewhere):
        return ", ".join(f"`{name}`" for name in case.tests)
    return f"`{suite.title}-{case.name}`"


def table(suite: Suite) -> str:
    """A suite with its cases."""
    rows = [
        f"| {case.name} | {case.does} | {outcome(case)} | {shown_by(suite, case)} |"
        f" {case.differs or '-'} |"
        for case in suite.cases
    ]
    title = f"### {suite.title}\n\nFrom {suite.source}: {len(suite.cases)} cases.\n"
    head = "\n| case | sent | headgate | shown by | differs |\n|---|---|---|---|---|\n"
    return title + head + "\n".join(rows) + "\n"


def tables() -> str:
    """Every suite."""
    return "\n" + "\n".join(map(table, SUITES))


def count() -> str:
    """How many cases there are, for a person."""
    every = [case for suite in SUITES for case in suite.cases]
    here = [case for case in every if isinstance(case, Case | Http1Case)]
    differ = [case for case in every if case.differs]
    return f"{len(every)} cases, {len(here)} of them here; {len(differ)} differ"


def main() -> None:
    """Writes the tables."""
    start, mark, _ = PAGE.read_text().partition(MARK)
    PAGE.write_text(start + mark + tables())
    sys.stdout.write(count() + "\n")


if __name__ == "__main__":
    main()
