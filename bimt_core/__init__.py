"""Brain-Inspired Modular Training: the method (Liu, Gan, Tegmark, Entropy 2024, 26(1), 41)."""

from bimt_core.cost import ConnectionCost, connection_cost
from bimt_core.hyperparameters import PerNetworkHyperparameters, SharedHyperparameters
from bimt_core.metrics import METRICS, Metric, measure
from bimt_core.modularity import (
    Communities,
    communities,
    louvain,
    modularity_table,
    normalised_cut,
    null_modularity,
    tensor_statistics,
    weight_graph,
)
from bimt_core.networks import MLP, RNN, ModuleNetwork, Network, Transformer
from bimt_core.pictures import (
    contact_sheet,
    plot_all,
    plot_cayley_graph,
    plot_connectivity,
    plot_network_3d,
    plot_predictions,
    plot_strips,
    render_sketches,
    to_png,
    to_svg,
)
from bimt_core.pictures.network.animation import render_animation
from bimt_core.pictures.network.interactive import render_interactive
from bimt_core.pictures.network.sketch import render_sketch
from bimt_core.pictures.tasks.ablation_table import plot_ablation_table
from bimt_core.pictures.tasks.decision_regions import plot_decision_regions
from bimt_core.pictures.tasks.embedding_rings import plot_embedding_rings
from bimt_core.pictures.tasks.filters import plot_filters
from bimt_core.pictures.tasks.loss_curves import plot_loss_curves
from bimt_core.pictures.tasks.neuron_values import plot_neuron_values
from bimt_core.pictures.tasks.variant_grid import plot_variant_grid
from bimt_core.population import (
    Population,
    concatenate,
    deserialize_population,
    initialise,
    load_population,
    save_population,
    serialize_population,
)
from bimt_core.relocate import relocate
from bimt_core.surgery import (
    Ablation,
    Change,
    Pruned,
    Surgery,
    ablate,
    formula,
    formula_text,
    intervene,
    prune,
    prune_curve,
    score_community_ablations,
    score_neuron_ablations,
    score_subset_ablations,
    smallest_network,
)
from bimt_core.tasks import TASKS, Task, load_task
from bimt_core.train import Moments, Snapshot, start, train
from bimt_core.wiring import Axis, Neurons, Wire, Wiring, linear_wires

__all__ = [
    "METRICS",
    "MLP",
    "RNN",
    "TASKS",
    "Ablation",
    "Axis",
    "Change",
    "Communities",
    "ConnectionCost",
    "Metric",
    "ModuleNetwork",
    "Moments",
    "Network",
    "Neurons",
    "PerNetworkHyperparameters",
    "Population",
    "Pruned",
    "SharedHyperparameters",
    "Snapshot",
    "Surgery",
    "Task",
    "Transformer",
    "Wire",
    "Wiring",
    "ablate",
    "communities",
    "concatenate",
    "connection_cost",
    "contact_sheet",
    "deserialize_population",
    "formula",
    "formula_text",
    "initialise",
    "intervene",
    "linear_wires",
    "load_population",
    "load_task",
    "louvain",
    "measure",
    "modularity_table",
    "normalised_cut",
    "null_modularity",
    "plot_ablation_table",
    "plot_all",
    "plot_cayley_graph",
    "plot_connectivity",
    "plot_decision_regions",
    "plot_embedding_rings",
    "plot_filters",
    "plot_loss_curves",
    "plot_network_3d",
    "plot_neuron_values",
    "plot_predictions",
    "plot_strips",
    "plot_variant_grid",
    "prune",
    "prune_curve",
    "relocate",
    "render_animation",
    "render_interactive",
    "render_sketch",
    "render_sketches",
    "save_population",
    "score_community_ablations",
    "score_neuron_ablations",
    "score_subset_ablations",
    "serialize_population",
    "smallest_network",
    "start",
    "tensor_statistics",
    "to_png",
    "to_svg",
    "train",
    "weight_graph",
]
