"""Sweeps of Brain-Inspired Modular Training: launching them and reading their results."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bimt_core import METRICS
    from sweeps.errors import BadInputError, ClusterError, StoreError, SweepError
    from sweeps.results.networks import TrainedNetwork
    from sweeps.results.sweep import Sweep, list_sweeps, open_sweep
    from sweeps.run.driver import launch
    from sweeps.run.state import Summary
    from sweeps.service.service import SweepService
    from sweeps.service.submission import LaunchResult
    from sweeps.spec.files import read_spec, read_specs
    from sweeps.spec.sweep import SweepSpec, parse_spec
    from sweeps.store import Store

__version__ = "0.2.0"

_HOME = {
    "METRICS": "bimt_core",
    "BadInputError": "sweeps.errors",
    "ClusterError": "sweeps.errors",
    "LaunchResult": "sweeps.service.submission",
    "Store": "sweeps.store",
    "StoreError": "sweeps.errors",
    "Summary": "sweeps.run.state",
    "Sweep": "sweeps.results.sweep",
    "SweepError": "sweeps.errors",
    "SweepService": "sweeps.service.service",
    "SweepSpec": "sweeps.spec.sweep",
    "TrainedNetwork": "sweeps.results.networks",
    "launch": "sweeps.run.driver",
    "list_sweeps": "sweeps.results.sweep",
    "open_sweep": "sweeps.results.sweep",
    "parse_spec": "sweeps.spec.sweep",
    "read_spec": "sweeps.spec.files",
    "read_specs": "sweeps.spec.files",
}

__all__ = [
    "METRICS",
    "BadInputError",
    "ClusterError",
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
