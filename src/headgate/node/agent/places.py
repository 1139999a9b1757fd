"""Says where an agent keeps what is about its master, in the node's state directory."""

from pathlib import Path

from headgate.providers.master.identity import IDENTITY


def folder(state_dir: Path) -> Path:
    """Returns the folder of everything about the master."""
    return state_dir / "master"


def has_identity(state_dir: Path) -> bool:
    """Reports whether the node has enrolled."""
    return (folder(state_dir) / IDENTITY).exists()
