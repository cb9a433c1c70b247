"""Brain-Inspired Modular Training: the method (Liu, Gan, Tegmark, Entropy 2024, 26(1), 41)."""

from bimt_core.cost import ConnectionCost, connection_cost
from bimt_core.hyperparameters import Knobs, Schedule
from bimt_core.metrics import METRICS, Metric, measure
from bimt_core.modularity import Communities, louvain, weight_graph
from bimt_core.networks import MLP, RNN, ModuleNetwork, Network, Transformer
from bimt_core.pictures import connectivity, contact_sheet, to_png, to_svg
from bimt_core.population import (
    Population,
    concatenate,
    from_bytes,
    initialise,
    load_population,
    save_population,
    to_bytes,
)
from bimt_core.relocate import relocate
from bimt_core.surgery import KnockOut, knock_out, knock_out_scores
from bimt_core.tasks import TASKS, Task, task
from bimt_core.train import Moments, Snapshot, start, train
from bimt_core.wiring import Axis, Neurons, Wire, Wiring, linear

__all__ = [
    "METRICS",
    "MLP",
    "RNN",
    "TASKS",
    "Axis",
    "Communities",
    "ConnectionCost",
    "Knobs",
    "KnockOut",
    "Metric",
    "ModuleNetwork",
    "Moments",
    "Network",
    "Neurons",
    "Population",
    "Schedule",
    "Snapshot",
    "Task",
    "Transformer",
    "Wire",
    "Wiring",
    "concatenate",
    "connection_cost",
    "connectivity",
    "contact_sheet",
    "from_bytes",
    "initialise",
    "knock_out",
    "knock_out_scores",
    "linear",
    "load_population",
    "louvain",
    "measure",
    "relocate",
    "save_population",
    "start",
    "task",
    "to_bytes",
    "to_png",
    "to_svg",
    "train",
    "weight_graph",
]
