"""Runs all checks on a tree."""

from headgate.engines.nginx.lint.config import Config
from headgate.engines.nginx.lint.finding import Finding
from headgate.engines.nginx.lint.registry import CHECKS
from headgate.nginxtext.includes import Tree


def lint(tree: Tree) -> tuple[Finding, ...]:
    """Returns what the checks find, each place once, by file, line and column.

    Checks see a file in each block that includes it; a finding that is equal in all is reported
    once.
    """
    config = Config(tree)
    found = {
        Finding(
            check.id,
            check.level,
            located.file,
            located.directive.line,
            located.directive.column,
            message,
            check.advice,
        )
        for check in CHECKS
        for located, message in check.find(config)
    }
    return tuple(sorted(found, key=lambda f: (f.file, f.line, f.column, f.id, f.message)))
