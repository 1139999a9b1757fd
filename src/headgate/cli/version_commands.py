"""The command that says which version is installed."""

from headgate.cli.output import Format, Output, show


def version(output: Output = Format.TEXT) -> None:
    """Show the version.

    \b
    Example:
      headgate version --output json
    """
    from headgate.node.about import version as installed

    show({"version": installed()}, output, lambda value: f"headgate {value['version']}\n")


COMMANDS = (version,)
