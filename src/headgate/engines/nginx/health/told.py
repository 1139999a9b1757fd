"""Reports what happens to an nginx, and lines of its error log. Pure."""

from collections.abc import Callable, Iterable

from headgate.engines.nginx.observe.error_log import Told

Tell = Callable[[str, str, str, dict[str, str]], None]
"""Takes a level, a dotted kind, a message and fields."""


def told_lines(tell: Tell, lines: Iterable[Told]) -> None:
    """Reports lines of an error log."""
    for told in lines:
        line = told.line
        level = "error" if line.level in ("emerg", "alert", "crit", "error") else "warn"
        fields = {"pid": str(line.pid), "left_out": str(told.left_out)}
        tell(level, f"nginx.{line.kind}", line.message, fields)
