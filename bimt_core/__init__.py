"""Brain-Inspired Modular Training: the method (Liu, Gan, Tegmark, Entropy 2024, 26(1), 41)."""

from bimt_core.cost import ConnectionCost, connection_cost
from bimt_core.hyperparameters import Knobs, Schedule
from bimt_core.metrics import METRICS, Metric, measure
from bimt_core.modularity import Communities, louvain, weight_graph
from bimt_core.networks import MLP, RNN, ModuleNetwork, Network, Transformer
from bimt_core.pictures import connectivity, contact_sheet, interactive, sketch, to_png, to_svg
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
from bimt_core.surgery import (
    Change,
    KnockOut,
    Pruned,
    Surgery,
    formula,
    formula_text,
    intervene,
    knock_out,
    knock_out_neurons,
    knock_out_scores,
    knock_out_subsets,
    prune,
    prune_curve,
    smallest_network,
)
from bimt_core.tasks import TASKS, Task, task
from bimt_core.train import Moments, Snapshot, start, train
from bimt_core.wiring import Axis, Neurons, Wire, Wiring, linear

__all__ = [
    "METRICS",
    "MLP",
    "RNN",
    "TASKS",
    "Axis",
    "Change",
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
    "Pruned",
    "Schedule",
    "Snapshot",
    "Surgery",
    "Task",
    "Transformer",
    "Wire",
    "Wiring",
    "concatenate",
    "connection_cost",
    "connectivity",
    "contact_sheet",
    "formula",
    "formula_text",
    "from_bytes",
    "initialise",
    "interactive",
    "intervene",
    "knock_out",
    "knock_out_neurons",
    "knock_out_scores",
    "knock_out_subsets",
    "linear",
    "load_population",
    "louvain",
    "measure",
    "prune",
    "prune_curve",
    "relocate",
    "save_population",
    "sketch",
    "smallest_network",
    "start",
    "task",
    "to_bytes",
    "to_png",
    "to_svg",
    "train",
    "weight_graph",
]
