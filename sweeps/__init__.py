"""Sweeps of Brain-Inspired Modular Training: launching them and reading their results."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bimt_core import METRICS
    from sweeps.errors import BadInputError, ClusterError, StoreError, SweepError
    from sweeps.results.networks import TrainedNetwork
    from sweeps.results.sweep import Sweep, list_sweeps, open_sweep
    from sweeps.run.agenda import ConfirmRequest
    from sweeps.run.driver import launch
    from sweeps.run.state import Summary
    from sweeps.service.service import SweepService
    from sweeps.service.submission import LaunchResult
    from sweeps.spec.files import read_spec, read_specs
    from sweeps.spec.sweep import SweepSpec, parse_spec
    from sweeps.store import Store

__version__ = "0.2.0"

_PUBLIC = {
    "bimt_core": ["METRICS"],
    "sweeps.errors": ["BadInputError", "ClusterError", "StoreError", "SweepError"],
    "sweeps.results.networks": ["TrainedNetwork"],
    "sweeps.results.sweep": ["Sweep", "list_sweeps", "open_sweep"],
    "sweeps.run.agenda": ["ConfirmRequest"],
    "sweeps.run.driver": ["launch"],
    "sweeps.run.state": ["Summary"],
    "sweeps.service.service": ["SweepService"],
    "sweeps.service.submission": ["LaunchResult"],
    "sweeps.spec.files": ["read_spec", "read_specs"],
    "sweeps.spec.sweep": ["SweepSpec", "parse_spec"],
    "sweeps.store": ["Store"],
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = [
    "METRICS",
    "BadInputError",
    "ClusterError",
    "ConfirmRequest",
    "LaunchResult",
    "Store",
    "StoreError",
    "Summary",
    "Sweep",
    "SweepError",
    "SweepService",
    "SweepSpec",
    "TrainedNetwork",
    "launch",
    "list_sweeps",
    "open_sweep",
    "parse_spec",
    "read_spec",
    "read_specs",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used: torch and Ray take seconds, and most commands need neither."""
    if name not in _HOME:
        raise AttributeError(f"module 'sweeps' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
