"""Says where agents and data planes keep what is about their master, in the state directory."""

from pathlib import Path

from headgate.providers.master.identity import IDENTITY


def folder(state_dir: Path) -> Path:
    """Returns the folder of everything about the master."""
    return state_dir / "master"


def link_folder(state_dir: Path) -> Path:
    """Returns the folder of a data plane's own identity: it is no agent."""
    return state_dir / "link"


def has_link_identity(state_dir: Path) -> bool:
    """Reports whether the data plane has enrolled."""
    return (link_folder(state_dir) / IDENTITY).exists()


def has_identity(state_dir: Path) -> bool:
    """Reports whether the node has enrolled."""
    return (folder(state_dir) / IDENTITY).exists()
