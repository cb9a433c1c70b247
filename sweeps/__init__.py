"""The sweep service: launch BIMT sweeps, and pull what came out of them."""

from bimt_core import METRICS
from sweeps.driver import Summary, launch
from sweeps.errors import BadInputError, StoreError, SweepError
from sweeps.results import Sweep, TrainedNetwork, list_sweeps, open_sweep
from sweeps.spec import SweepSpec, parse_spec, read_spec
from sweeps.store import Store

__all__ = [
    "METRICS",
    "BadInputError",
    "Store",
    "StoreError",
    "Summary",
    "Sweep",
    "SweepError",
    "SweepSpec",
    "TrainedNetwork",
    "launch",
    "list_sweeps",
    "open_sweep",
    "parse_spec",
    "read_spec",
]
