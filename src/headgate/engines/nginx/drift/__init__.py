"""Finds drift (disk or processes are not as they should be) and heals or reports it."""

from headgate.engines.nginx.drift.artefacts import Artefact, Artefacts, diff_of
from headgate.engines.nginx.drift.disk import Looks, baseline, release_desired
from headgate.engines.nginx.drift.finding import (
    Binary,
    Desired,
    Edit,
    Finding,
    Mark,
    OnDisk,
    Running,
    State,
    compared,
)
from headgate.engines.nginx.drift.machine import Machine, Policy, Rules, default_policy
from headgate.engines.nginx.drift.reloads import Reloads
from headgate.engines.nginx.drift.three import Seen, Sides, Standing, reported
from headgate.engines.nginx.drift.watch import Acts, DriftWatch, World

__all__ = [
    "Acts",
    "Artefact",
    "Artefacts",
    "Binary",
    "Desired",
    "DriftWatch",
    "Edit",
    "Finding",
    "Looks",
    "Machine",
    "Mark",
    "OnDisk",
    "Policy",
    "Reloads",
    "Rules",
    "Running",
    "Seen",
    "Sides",
    "Standing",
    "State",
    "World",
    "baseline",
    "compared",
    "default_policy",
    "diff_of",
    "release_desired",
    "reported",
]
