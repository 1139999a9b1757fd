"""The `headgate` command."""

import sys

from headgate.cli import standard
from headgate.cli.output import FAILED, printable_text
from headgate.cli.program import program
from headgate.cli.told import ToldError
from headgate.kernel import collector
from headgate.kernel.utf8 import is_utf8, shown


def main() -> None:
    """Runs the command line. Exit codes: 0 success, 1 failure, 2 usage error, 78 bad config; 3 to 6
    are the ends of a rollout that was waited for."""
    standard.open_missing()
    collector.relax()  # before commands import what they need
    try:
        _refuse_bytes(sys.argv[1:])
        program(sys.argv[1:])()
    except ToldError as error:
        sys.stderr.write(printable_text(f"headgate: {error}\n"))
        sys.exit(FAILED)
    except BrokenPipeError:
        sys.exit(FAILED)


def _refuse_bytes(arguments: list[str]) -> None:
    """Raises ToldError for an argument that no message could show, nor any option pass on."""
    for argument in arguments:
        if not is_utf8(argument):
            message = f'the argument "{shown(argument)}" is not UTF-8; rename what it names'
            raise ToldError(message)
