"""The command that makes a shell complete what is typed."""

import sys
from enum import StrEnum
from typing import Annotated

import typer


class Shell(StrEnum):
    """The shells that it knows."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print a script that makes a shell complete commands, options, kinds and contexts.

    \b
    Examples:
      source <(headgate completion bash)
      headgate completion zsh > "${fpath[1]}/_headgate"
      headgate completion fish > ~/.config/fish/completions/headgate.fish
    """
    from typer._completion_shared import get_completion_script

    sys.stdout.write(
        get_completion_script(
            prog_name="headgate", complete_var="_HEADGATE_COMPLETE", shell=shell.value
        )
        + "\n"
    )


COMMANDS = (completion,)
