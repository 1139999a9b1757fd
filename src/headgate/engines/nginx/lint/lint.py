"""All checks on a tree."""

from headgate.engines.nginx.lint.config import Config
from headgate.engines.nginx.lint.finding import Finding
from headgate.engines.nginx.lint.registry import CHECKS
from headgate.nginxtext.includes import Tree


def lint(tree: Tree) -> tuple[Finding, ...]:
    """What the checks find, each place once, by file, line and column.

    A file that several blocks include is looked at in each of them; a finding that is the same in
    all is told once.
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
