"""The sweep service: launch BIMT sweeps, and pull what came out of them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bimt_core import METRICS
    from sweeps.client.service import SweepService
    from sweeps.client.submission import Launched
    from sweeps.driver import launch
    from sweeps.errors import BadInputError, ClusterError, StoreError, SweepError
    from sweeps.results import Sweep, list_sweeps, open_sweep
    from sweeps.specs.files import read_spec, read_specs
    from sweeps.specs.spec import SweepSpec, parse_spec
    from sweeps.store import Store
    from sweeps.summary import Summary
    from sweeps.trained_network import TrainedNetwork

_HOME = {
    "METRICS": "bimt_core",
    "BadInputError": "sweeps.errors",
    "ClusterError": "sweeps.errors",
    "Launched": "sweeps.client.submission",
    "Store": "sweeps.store",
    "StoreError": "sweeps.errors",
    "Summary": "sweeps.summary",
    "Sweep": "sweeps.results",
    "SweepError": "sweeps.errors",
    "SweepService": "sweeps.client.service",
    "SweepSpec": "sweeps.specs.spec",
    "TrainedNetwork": "sweeps.trained_network",
    "launch": "sweeps.driver",
    "list_sweeps": "sweeps.results",
    "open_sweep": "sweeps.results",
    "parse_spec": "sweeps.specs.spec",
    "read_spec": "sweeps.specs.files",
    "read_specs": "sweeps.specs.files",
}

__all__ = [
    "METRICS",
    "BadInputError",
    "ClusterError",
    "Launched",
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
    """Imports a public name when it is first used: torch and ray take seconds, most commands need one or none."""
    if name not in _HOME:
        raise AttributeError(f"module 'sweeps' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
